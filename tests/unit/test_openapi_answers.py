"""How openapi.yaml types answers: as precisely as requests, and so that a value of any age still fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.support.openapi import openapi_document

Json = Any
DOCUMENT: Final[dict[str, Json]] = openapi_document()
SCHEMAS: Final[dict[str, Json]] = DOCUMENT["components"]["schemas"]
FORMS: Final = ("anyOf", "oneOf", "allOf")
# What was stored before a limit existed is answered as it was stored; and what is missing stays so.
LIMITS: Final = {"minItems", "maxItems", "uniqueItems", "minLength", "maxLength", "pattern", "maxProperties", "default"}
# Objects whose properties are not ours to know.
OPEN: Final = {
    "getOpenapiJson 200 application/json",  # this document
    "ComposeStatusError.details/anyOf/3",  # as the composer has it
    "ComposeStatusError.details/anyOf/4[]/anyOf/3",
    "ComposeLogs.image_builds[]",  # as the composer has them
    "Sbom.document",
    "CheckedImage.composer_request",  # as the composer would get it
    "OtherUploadStatus",  # for a target that is not known any more
    "StoredOtherUploadRequestOptions",  # kept as sent
}
# A stored document has these whatever it was stored by; all others may be missing in an old one.
ALWAYS_STORED: Final = {
    "StoredComposeRequest": ["image_requests"],
    # It is how this form is told from the others.
    "StoredAzureUploadRequestOptions": ["resource_group"],
}
# The schemas of stored documents by those of requests, where the name is not `Stored` and the name of the request's.
STORED_AS: Final = {
    "FirewallCustomization": "StoredFirewall",
    "CACertsCustomization": "StoredCACerts",
    "GCPUploadRequestOptions": "StoredAWSUploadRequestOptions",
    "AWSS3UploadRequestOptions": "StoredOtherUploadRequestOptions",
    "OCIUploadRequestOptions": "StoredOtherUploadRequestOptions",
    "OpenSCAPProfile": "StoredOpenSCAP",
    "OpenSCAPCompliance": "StoredOpenSCAP",
    "FilesystemTyped": "StoredPartition",
    "BtrfsVolume": "StoredPartition",
    "VolumeGroup": "StoredPartition",
    "Distributions": "StoredDistribution",
    "ImageTypes": "StoredImageType",
    "UploadTypes": "StoredUploadType",
    "CreateBlueprintRequest": "BlueprintResponse",
    "BlueprintMetadata": "BlueprintExportMetadata",
    "ComposeLabelsRequest": "ComposeLabels",
}
# Where a blueprint came from is not answered, only where an export comes from; and fields of exports are not stored.
# Labels of a build are not part of its request.
NOT_ANSWERED: Final = {
    ("User", "password"),
    ("ComposeRequest", "labels"),
    *(("CreateBlueprintRequest", name) for name in ("metadata", "snapshot_date", "content_sources")),
}


def followed(node: Json) -> Json:
    """A parameter or response, where it is a reference."""
    if "$ref" not in node:
        return node
    kind, name = node["$ref"].split("/")[-2:]
    return DOCUMENT["components"][kind][name]


def operations() -> Iterator[Json]:
    for item in DOCUMENT["paths"].values():
        yield from (each for name, each in item.items() if name != "parameters")


def answered() -> Iterator[tuple[str, Json]]:
    """The schema of every answer of every operation with every status."""
    for operation in operations():
        for status, response in operation["responses"].items():
            for media_type, content in followed(response).get("content", {}).items():
                yield f"{operation['operationId']} {status} {media_type}", content["schema"]


def sent() -> Iterator[tuple[str, Json]]:
    """The schema of every body and parameter of every operation."""
    for path, item in DOCUMENT["paths"].items():
        for holder in (item, *(each for name, each in item.items() if name != "parameters")):
            for parameter in holder.get("parameters", ()):
                yield f"{path} {followed(parameter)['name']}", followed(parameter)["schema"]
            for media_type, content in holder.get("requestBody", {}).get("content", {}).items():
                yield f"{path} {media_type}", content["schema"]


def below(node: Json, place: str) -> Iterator[tuple[str, Json]]:
    """A schema and all parts of it; references are not followed."""
    yield place, node
    for name, part in node.get("properties", {}).items():
        yield from below(part, f"{place}.{name}")
    if "items" in node:
        yield from below(node["items"], f"{place}[]")
    if isinstance(node.get("additionalProperties"), dict):
        yield from below(node["additionalProperties"], f"{place}.*")
    for form in FORMS:
        for index, part in enumerate(node.get(form, ())):
            yield from below(part, f"{place}/{form}/{index}")


def reached(tops: Iterator[tuple[str, Json]]) -> dict[str, Json]:
    """All schemas below these, those that they refer to under their own names."""
    found: dict[str, Json] = {}
    waiting = list(tops)
    while waiting:
        for place, part in below(waiting[0][1], waiting[0][0]):
            found[place] = part
            name = part.get("$ref", "").rpartition("/")[2]
            if name and name not in found:
                found[name] = SCHEMAS[name]
                waiting.append((name, SCHEMAS[name]))
        waiting.pop(0)
    return found


ANSWERED: Final = reached(answered())
SENT: Final = reached(sent())


def resolved(schema: Json) -> Json:
    while "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    return schema


def is_typed(schema: Json) -> bool:
    """Whether a schema, or every form of it, says what kind of value it is."""
    if "$ref" in schema:
        return True
    if "type" in schema:
        return schema["type"] != "array" or "items" in schema
    return any(form in schema for form in FORMS) and all(
        is_typed(part) for form in FORMS for part in schema.get(form, ())
    )


def takes_any_text(schema: Json) -> bool:
    return schema.get("type") == "string" and "enum" not in schema and "anyOf" not in schema


def is_enum(schema: Json) -> bool:
    return "enum" in resolved(schema)


def test_answers_of_all_operations_are_walked() -> None:
    assert len(ANSWERED) > 500
    assert {"StoredLogicalVolume", "PackageMetadata", "QuotaState", "HTTPError"} <= ANSWERED.keys()
    assert {"LogicalVolume", "RecommendPackageRequest"} <= SENT.keys()


def test_every_field_of_every_schema_has_a_type() -> None:
    named = reached((name, schema) for name, schema in SCHEMAS.items())
    untyped = [place for place, schema in {**ANSWERED, **SENT, **named}.items() if not is_typed(schema)]
    # Limits of upload options, whatever the form; the forms have the types.
    assert [place for place in untyped if not place.startswith("UploadRequest.options.")] == []


def test_answers_have_no_limits() -> None:
    limited = {place: sorted(LIMITS & schema.keys()) for place, schema in ANSWERED.items() if LIMITS & schema.keys()}
    assert limited == {}


def test_a_text_with_known_values_may_be_another_text() -> None:
    """A generated client that reads an enum fails on a value that is not in it."""
    alone = [
        place
        for place, schema in ANSWERED.items()
        if is_enum(schema) and place not in SCHEMAS and "/anyOf/" not in place
    ]
    assert alone == []
    forms = {place: schema["anyOf"] for place, schema in ANSWERED.items() if "anyOf" in schema}
    known = [place for place, each in forms.items() if any(is_enum(form) for form in each)]
    assert len(known) > 15
    assert [place for place in known if not any(takes_any_text(form) for form in forms[place])] == []


def test_no_object_of_an_answer_is_open_where_its_properties_are_known() -> None:
    open_objects = {
        place
        for place, schema in ANSWERED.items()
        if schema.get("type") == "object"
        and not {"properties", *FORMS} & schema.keys()
        and not isinstance(schema.get("additionalProperties"), dict)
    }
    assert open_objects == OPEN
    assert {place for place, schema in ANSWERED.items() if schema.get("additionalProperties") is True} <= OPEN


def test_answers_may_have_more_properties_than_are_described() -> None:
    assert [place for place, schema in ANSWERED.items() if schema.get("additionalProperties") is False] == []


def test_answers_and_requests_share_no_schema_with_properties() -> None:
    shared = {name for name in ANSWERED.keys() & SENT.keys() & SCHEMAS.keys() if not is_enum(SCHEMAS[name])}
    assert shared == set()


def test_a_stored_document_needs_only_what_is_in_every_old_row() -> None:
    stored = {name: schema for name, schema in SCHEMAS.items() if name.startswith("Stored")}
    assert len(stored) > 40
    needed = {name: schema["required"] for name, schema in stored.items() if "required" in schema}
    assert needed == ALWAYS_STORED


def stored_as(name: str) -> str:
    return STORED_AS.get(name, f"Stored{name}")


BODIES: Final = sorted(
    name
    for name in SENT.keys() & SCHEMAS.keys() - {"RecommendPackageRequest", "RerunRequest"}
    if "properties" in SCHEMAS[name]
)


@pytest.mark.parametrize("name", BODIES)
def test_every_field_of_a_request_is_typed_alike_in_answers(name: str) -> None:
    answer = SCHEMAS[stored_as(name)]["properties"]
    for field, schema in SCHEMAS[name]["properties"].items():
        if (name, field) in NOT_ANSWERED:
            continue
        assert field in answer, field
        assert alike(schema, answer[field]), field


def alike(request: Json, answer: Json) -> bool:
    """Whether an answer's schema says of a value what the request's does, but for limits."""
    if "$ref" in request and request["$ref"].rpartition("/")[2] in {*BODIES, *STORED_AS}:
        return bool(answer.get("$ref") == f"#/components/schemas/{stored_as(request['$ref'].rpartition('/')[2])}")
    request, answer = resolved(request), resolved(answer)
    if "items" in request:
        return "items" in answer and alike(request["items"], answer["items"])
    if "enum" in request:
        return any(resolved(form).get("enum", []) >= request["enum"] for form in answer["anyOf"])
    if "type" not in request:
        return [each["type"] for each in request["oneOf"]] == [each["type"] for each in answer["oneOf"]]
    # Addresses are not checked: an old one may be none.
    wanted = None if request.get("format") == "uri" else request.get("format")
    return bool(request["type"] == answer["type"] and wanted == answer.get("format"))
