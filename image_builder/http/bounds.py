"""Collects the allowed names and the limits of requests from openapi.yaml, for the operation getFeatures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from image_builder.http.contract import Contract
from image_builder.http.schemas import Schema, resolve_references
from image_builder.http.value_count import MAX_VALUES

# The operations whose bodies have limits, by the key of these limits in the answer of getFeatures.
_BODIES: Final = {
    "compose": "composeImage",
    "blueprint": "createBlueprint",
    "blueprint_compose": "composeBlueprint",
    "recommendations": "recommendPackage",
}


@dataclass(frozen=True, slots=True)
class PageSizes:
    """The largest and the default number of entries on a page of a list."""

    largest: int
    default: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """The maximum number of characters of texts and of entries of lists, by field.

    A field is a path such as `customizations.packages`; `customizations.packages[]` stands for each entry of that list.
    """

    texts: Mapping[str, int]
    lists: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The names that requests may use, and the limits of requests.

    `values` is the maximum number of values in a body. `lengths` holds the limits of each kind of body, and under the
    key `parameters` those of parameters. `page_sizes` has the path of each list as its key. `operations` are
    the names of query and header parameters by operation id.
    """

    architectures: tuple[str, ...]
    image_types: tuple[str, ...]
    upload_targets: tuple[str, ...]
    customizations: tuple[str, ...]
    values: int
    lengths: Mapping[str, Lengths]
    page_sizes: Mapping[str, PageSizes]
    operations: Mapping[str, tuple[str, ...]]


def collect_bounds(contract: Contract) -> Bounds:
    """Collect the bounds from openapi.yaml."""
    schemas = contract.document["components"]["schemas"]
    bodies = dict(_bodies(contract.document["paths"]))
    return Bounds(
        architectures=tuple(schemas["ImageRequest"]["properties"]["architecture"]["enum"]),
        image_types=tuple(schemas["ImageTypes"]["enum"]),
        upload_targets=tuple(schemas["UploadTypes"]["enum"]),
        customizations=tuple(schemas["Customizations"]["properties"]),
        values=MAX_VALUES,
        lengths={
            **{kind: _lengths([("", bodies[name])], schemas) for kind, name in _BODIES.items()},
            "parameters": _lengths(_parameters(contract), schemas),
        },
        page_sizes={
            operation.path: PageSizes(parameter.schema["maximum"], parameter.schema["default"])
            for operation in sorted(contract.operations.values(), key=lambda operation: operation.path)
            for parameter in operation.query_parameters
            if parameter.name == "limit"
        },
        operations={
            operation.id: tuple(each.name for each in (*operation.query_parameters, *operation.header_parameters))
            for operation in contract.operations.values()
        },
    )


def _bodies(paths: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Schema]]:
    """Yield the id of each operation with a JSON body, and the schema of that body."""
    for item in paths.values():
        for operation in item.values():
            if "requestBody" in operation:
                yield operation["operationId"], operation["requestBody"]["content"]["application/json"]["schema"]


def _parameters(contract: Contract) -> Iterator[tuple[str, Schema]]:
    for operation in contract.operations.values():
        for parameter in (*operation.path_parameters, *operation.query_parameters, *operation.header_parameters):
            yield parameter.name, parameter.schema


def _lengths(fields: Iterable[tuple[str, Schema]], schemas: Mapping[str, Schema]) -> Lengths:
    lengths: dict[str, dict[str, int]] = {"maxLength": {}, "maxItems": {}}
    for name, schema in fields:
        for field, keyword, limit in _limits(schema, schemas, name):
            known = lengths[keyword]
            # If a field may have several forms, its limit is the largest of theirs.
            known[field] = max(limit, known.get(field, 0))
    return Lengths(texts=lengths["maxLength"], lists=lengths["maxItems"])


def _limits(schema: Schema, schemas: Mapping[str, Schema], field: str) -> Iterator[tuple[str, str, int]]:
    """Yield each limit of the field and of the fields inside it: the limited field, the keyword, and the limit."""
    schema = resolve_references(schema, schemas)
    for keyword in ("maxLength", "maxItems"):
        if keyword in schema:
            yield field, keyword, schema[keyword]
    for form in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        yield from _limits(form, schemas, field)
    if "items" in schema:
        yield from _limits(schema["items"], schemas, f"{field}[]")
    for name, below in schema.get("properties", {}).items():
        yield from _limits(below, schemas, f"{field}.{name}" if field else name)
