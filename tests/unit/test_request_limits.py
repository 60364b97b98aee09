"""openapi.yaml limits every text and every list of a request; parameters are checked against their limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from domain.errors import InvalidRequestError
from image_builder.http.bounds import Bounds, collect_bounds
from image_builder.http.contract import Contract, Operation
from image_builder.http.parameters import Parameter
from image_builder.http.schemas import resolve_references

Json = Any

CONTRACT: Final = Contract((), (), ("/a", "/b", "/c"), "x-rh-identity")
SCHEMAS: Final[dict[str, Json]] = CONTRACT.document["components"]["schemas"]
# Sizes in bytes: a value of another form is refused, whatever its length.
SIZES: Final = ("image_requests[].size", "customizations.filesystem[].min_size")
# Stored unchanged, in any shape that the total number of values allows.
OPEN: Final = ("image_requests[].upload_request.options",)


# Maps whose keys must be names that are stored: others are refused.
MAPS = ("passwords", "labels")


def request_schemas() -> Iterator[tuple[str, str, Json]]:
    """Yield each schema of requests, with its operation and its field (empty for a body)."""
    for item in CONTRACT.document["paths"].values():
        for method, operation in item.items():
            if method != "parameters" and "requestBody" in operation:
                # A body of TOML is limited by its bytes, and then by the schema of the JSON that it is converted to.
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                yield operation["operationId"], "", schema
    for operation in CONTRACT.operations.values():
        for parameter in parameters(operation):
            yield operation.id, parameter.name, parameter.schema


def parameters(operation: Operation) -> tuple[Parameter, ...]:
    return (*operation.path_parameters, *operation.query_parameters, *operation.header_parameters)


def schemas_below(schema: Json, field: str) -> Iterator[tuple[str, Json]]:
    schema = resolve_references(schema, SCHEMAS)
    yield field, schema
    for form in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        yield from schemas_below(form, field)
    if "items" in schema:
        yield from schemas_below(schema["items"], f"{field}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from schemas_below(schema["additionalProperties"], f"{field}.*")
    for name, below in schema.get("properties", {}).items():
        yield from schemas_below(below, f"{field}.{name}".removeprefix("."))


@pytest.fixture(scope="module")
def told() -> Bounds:
    return collect_bounds(CONTRACT)


def is_bounded(field: str, schema: Json) -> bool:
    kind = schema.get("type")
    if kind == "string":
        return "maxLength" in schema or "enum" in schema or schema.get("format") == "uuid"
    if kind == "array":
        return "maxItems" in schema
    if kind == "object":
        # Unknown properties are removed; openapi.yaml must not give them a schema.
        return "properties" in schema or "oneOf" in schema or field in OPEN or field in MAPS
    if kind in {"integer", "boolean"}:
        return True
    # A schema without a type has limits for all its forms, or is one of several forms.
    limits = {"maxLength", "maxItems", "oneOf", "anyOf"}
    return bool(limits & schema.keys()) or field in SIZES


def test_every_text_and_list_of_a_request_has_a_limit() -> None:
    unbounded = [
        f"{operation}: {field}"
        for operation, place, top in request_schemas()
        for field, schema in schemas_below(top, place)
        if not is_bounded(field, schema)
    ]
    assert unbounded == []


def test_objects_in_requests_have_named_keys_only() -> None:
    for operation, place, top in request_schemas():
        for field, schema in schemas_below(top, place):
            if field in MAPS:
                assert "maxProperties" in schema, f"{operation}: {field}"
                continue
            assert schema.get("additionalProperties", False) is False, f"{operation}: {field}"


@pytest.mark.parametrize(
    ("field", "most"), [("customizations.packages", 10_000), ("customizations.filesystem", 128), ("name", 100)]
)
def test_no_earlier_limit_was_lowered(told: Bounds, field: str, most: int) -> None:
    lengths = told.lengths["blueprint"]
    assert {**lengths.lists, **lengths.texts}[field] >= most


def test_get_features_reports_every_limit_of_a_request(told: Bounds) -> None:
    lengths = told.lengths["compose"]
    assert lengths.lists["customizations.disk.partitions[].logical_volumes"] > 0
    assert lengths.texts["customizations.disk.partitions[].subvolumes[].mountpoint"] > 0
    assert lengths.texts["customizations.files[].user"] > 0
    assert lengths.texts["customizations.openscap.profile_id"] > 0
    assert lengths.lists["image_requests[].upload_request.options.share_with_sources"] > 0
    assert told.lengths["blueprint_compose"].lists == {"image_types": 1000}
    assert told.lengths["recommendations"].lists == {"packages": 10_000}
    assert told.lengths["parameters"].texts["search"] > 0
    assert told.lengths["parameters"].lists["ignoreImageTypes"] > 0


def test_get_features_reports_the_largest_limit_of_a_parameter_of_several_operations(told: Bounds) -> None:
    assert parameter("getDistribution", "distro").schema["maxLength"] == 255
    assert told.lengths["parameters"].texts["distro"] == 51_200


# Documents at their limits


def smallest(schema: Json, number: int = 0) -> Json:
    """Return a valid value of the schema, a different one for each number where that is possible."""
    schema = resolve_references(schema, SCHEMAS)
    for forms in ("oneOf", "anyOf"):
        if forms in schema:
            return smallest(schema[forms][0], number)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "integer")
    if kind == "object":
        properties = schema.get("properties", {})
        needed = {name: smallest(properties[name], number) for name in schema.get("required", ())}
        return {**needed, "size": number} if "size" in properties else needed
    if kind == "array":
        return [smallest(schema["items"], number)]
    if schema.get("format") == "uuid":
        return f"00000000-0000-0000-0000-{number:012}"
    return {"string": f"x{number}", "integer": number, "boolean": False}[kind]


def with_field(schema: Json, field: list[str], value: Json) -> Json:
    """Return a minimal valid document with this value in a field, such as `["users", "[]", "name"]`."""
    if not field:
        return value
    schema = resolve_references(schema, SCHEMAS)
    name, *below = field
    if name == "[]":
        return [with_field(schema["items"], below, value)]
    if name in schema.get("properties", {}):
        others = smallest({key: each for key, each in schema.items() if key not in {"oneOf", "anyOf"}})
        return {**others, name: with_field(schema["properties"][name], below, value)}
    form = next(each for each in schema["oneOf"] if name in resolve_references(each, SCHEMAS)["properties"])
    return with_field(form, field, value)


def field_schema(schema: Json, field: str) -> Json:
    return next(each for place, each in schemas_below(schema, "") if place == field and "maxItems" in each)


LENGTHS: Final = collect_bounds(CONTRACT).lengths
FIELDS: Final = [
    (kind, field, most, keyword)
    for kind in ("compose", "blueprint", "recommendations")
    for keyword, limits in (("maxLength", LENGTHS[kind].texts), ("maxItems", LENGTHS[kind].lists))
    for field, most in limits.items()
]
BODIES: Final = {
    "compose": "ComposeRequest",
    "blueprint": "CreateBlueprintRequest",
    "recommendations": "RecommendPackageRequest",
}
CHECKERS: Final = {kind: CONTRACT.checker(name) for kind, name in BODIES.items()}
# A value that is too long would also need other letters.
PATTERNS: Final = ("image_requests[].upload_request.options.image_name",)


@pytest.mark.parametrize(("kind", "field", "most", "keyword"), [each for each in FIELDS if each[1] not in PATTERNS])
def test_a_field_may_be_as_long_as_its_limit_and_no_longer(kind: str, field: str, most: int, keyword: str) -> None:
    schema, checker = SCHEMAS[BODIES[kind]], CHECKERS[kind]

    def document(length: int) -> Json:
        if keyword == "maxLength":
            value: Json = "x" * length
        else:
            entry = field_schema(schema, field).get("items", {})
            value = [
                smallest(entry if "type" in entry or "$ref" in entry else {"type": "string"}, n) for n in range(length)
            ]
        return with_field(schema, field.replace("[]", ".[]").split("."), value)

    assert checker.is_valid(document(most))
    with pytest.raises(InvalidRequestError) as refused:
        checker.accept(document(most + 1))
    assert refused.value.detail.replace("[0]", "[]").startswith(f"{field}: ")
    assert str(most) in refused.value.detail


# Upload options: a target accepts any options, and the limits apply to all targets


def test_the_limits_of_upload_options_are_those_of_the_target_that_has_them() -> None:
    limits = SCHEMAS["UploadRequest"]["properties"]["options"]
    for form in limits["anyOf"]:
        for name, schema in resolve_references(form, SCHEMAS).get("properties", {}).items():
            if name in limits["properties"]:
                general = limits["properties"][name]
                assert general.get("maxItems") == schema.get("maxItems"), name
                assert general.get("maxLength") == schema.get("maxLength"), name
                if "items" in schema:
                    assert general["items"]["maxLength"] == schema["items"]["maxLength"], name


@pytest.mark.parametrize("target", ["aws", "aws.s3", "gcp", "azure", "oci.objectstorage"])
@pytest.mark.parametrize(
    "options",
    [
        {"share_with_accounts": [str(number) for number in range(1001)]},
        {"share_with_sources": [str(number) for number in range(101)]},
        {"share_with_accounts": ["a" * 1025]},
        {"tenant_id": "t" * 256},
        {f"o{number}": 1 for number in range(101)},
    ],
    ids=["accounts", "sources", "account", "tenant", "properties"],
)
def test_upload_options_beyond_a_limit_are_refused_for_every_target(target: str, options: Json) -> None:
    checker = CONTRACT.checker("UploadRequest")
    with pytest.raises(InvalidRequestError, match="options"):
        checker.accept({"type": target, "options": options})


def test_upload_options_of_a_target_without_options_are_stored_unchanged() -> None:
    request = {"type": "aws.s3", "options": {"share_with_accounts": "nobody", "tenant_id": 7, "other": [{}]}}
    assert CONTRACT.checker("UploadRequest").accept(request) == request


# Parameters


def parameter(operation: str, name: str) -> Parameter:
    (found,) = (each for each in parameters(CONTRACT.operations[operation]) if each.name == name)
    return found


@pytest.mark.parametrize(
    ("operation", "name", "longest"),
    [("getBlueprints", "search", 1024), ("composeImage", "Idempotency-Key", 255), ("getDistribution", "distro", 255)],
)
def test_a_parameter_may_be_as_long_as_its_limit_and_no_longer(operation: str, name: str, longest: int) -> None:
    found = parameter(operation, name)
    assert found.parse(["x" * longest]) == "x" * longest
    with pytest.raises(InvalidRequestError) as refused:
        found.parse(["x" * (longest + 1)])
    assert refused.value.detail == f"{name}: expected at most {longest} characters"


def test_each_value_of_a_repeated_parameter_is_checked_against_its_limit() -> None:
    found = parameter("getDistribution", "image_type")
    with pytest.raises(InvalidRequestError, match="image_type: expected at most 255 characters"):
        found.parse(["x", "x" * 256])


def test_a_parameter_may_be_repeated_as_often_as_its_limit_and_no_more() -> None:
    found = parameter("getComposes", "ignoreImageTypes")
    assert len(found.parse(["aws"] * 1000)) == 1000
    with pytest.raises(InvalidRequestError) as refused:
        found.parse(["aws"] * 1001)
    assert refused.value.detail == "ignoreImageTypes: expected at most 1000 values"
