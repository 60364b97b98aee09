"""Allowed names and limits of requests, read from the schemas of openapi.yaml, for operation getFeatures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from image_builder.http.contract import Contract
from image_builder.http.nodes import MOST_VALUES
from image_builder.http.schemas import Schema, resolve_references

# Operations whose bodies have limits, by the key under which getFeatures answers them.
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
    """The maximum characters of texts and the maximum entries of lists, by field.

    A field is a path such as `customizations.packages`; `customizations.packages[]` are the entries of that list.
    """

    texts: Mapping[str, int]
    lists: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Names that requests may use, limits of bodies and parameters, and page sizes by the lists' paths.

    `values` is the maximum number of values in a body; `lengths` holds the limits of each kind of body, and under
    `parameters` those of parameters by name. `operations` are the names of query and header parameters by operation id.
    """

    architectures: tuple[str, ...]
    image_types: tuple[str, ...]
    upload_targets: tuple[str, ...]
    customizations: tuple[str, ...]
    values: int
    lengths: Mapping[str, Lengths]
    page_sizes: Mapping[str, PageSizes]
    operations: Mapping[str, tuple[str, ...]]


def bounds(contract: Contract) -> Bounds:
    """Collect the bounds of the contract."""
    schemas = contract.document["components"]["schemas"]
    bodies = dict(_bodies(contract.document["paths"]))
    return Bounds(
        architectures=tuple(schemas["ImageRequest"]["properties"]["architecture"]["enum"]),
        image_types=tuple(schemas["ImageTypes"]["enum"]),
        upload_targets=tuple(schemas["UploadTypes"]["enum"]),
        customizations=tuple(schemas["Customizations"]["properties"]),
        values=MOST_VALUES,
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
    """The schema of each operation's JSON body, by the operation's id."""
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
            # A field that may have several forms has the largest limit of them.
            known[field] = max(limit, known.get(field, 0))
    return Lengths(texts=lengths["maxLength"], lists=lengths["maxItems"])


def _limits(schema: Schema, schemas: Mapping[str, Schema], field: str) -> Iterator[tuple[str, str, int]]:
    """Each limit of the field and of the fields inside it: the limited field, the keyword, and the limit."""
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
