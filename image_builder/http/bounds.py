"""What the contract allows and where it ends, read from its schemas so that nothing has to be said twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from image_builder.http.contract import Contract
from image_builder.http.schemas import Schema, resolved

_REQUESTS: Final = {"compose": "ComposeRequest", "blueprint": "CreateBlueprintRequest"}


@dataclass(frozen=True, slots=True)
class PageSizes:
    """How many entries a page of a list may have, and has where nobody says."""

    largest: int
    default: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """The most characters of texts and the most entries of lists, by field, as `customizations.packages`."""

    texts: Mapping[str, int]
    lists: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Names that requests may use, the lengths of each kind of request, and page sizes by the lists' paths."""

    architectures: tuple[str, ...]
    image_types: tuple[str, ...]
    upload_targets: tuple[str, ...]
    customizations: tuple[str, ...]
    lengths: Mapping[str, Lengths]
    page_sizes: Mapping[str, PageSizes]


def bounds(contract: Contract) -> Bounds:
    """The bounds of the contract in force."""
    schemas = contract.document["components"]["schemas"]
    return Bounds(
        architectures=tuple(schemas["ImageRequest"]["properties"]["architecture"]["enum"]),
        image_types=tuple(schemas["ImageTypes"]["enum"]),
        upload_targets=tuple(schemas["UploadTypes"]["enum"]),
        customizations=tuple(schemas["Customizations"]["properties"]),
        lengths={
            kind: Lengths(
                texts=dict(_limits(schemas[name], schemas, "maxLength")),
                lists=dict(_limits(schemas[name], schemas, "maxItems")),
            )
            for kind, name in _REQUESTS.items()
        },
        page_sizes={
            operation.path: PageSizes(parameter.schema["maximum"], parameter.schema["default"])
            for operation in sorted(contract.operations.values(), key=lambda operation: operation.path)
            for parameter in operation.query_parameters
            if parameter.name == "limit"
        },
    )


def _limits(schema: Schema, schemas: Mapping[str, Any], keyword: str, field: str = "") -> Iterator[tuple[str, int]]:
    """The fields at and below `field` that have the keyword; of those with several forms no form's own ones."""
    schema = resolved(schema, schemas)
    if keyword in schema:
        yield field, schema[keyword]
    if "items" in schema:
        yield from _limits(schema["items"], schemas, keyword, f"{field}[]")
    for name, below in schema.get("properties", {}).items():
        yield from _limits(below, schemas, keyword, f"{field}.{name}" if field else name)
