"""openapi.yaml is what clients are made from: it has to be complete, and its examples have to be true."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

import jsonschema_rs
import pytest

from tests.support.openapi import openapi_document

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = Any
DOCUMENT: dict[str, Json] = openapi_document()
SCHEMAS: dict[str, Json] = DOCUMENT["components"]["schemas"]
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
OPERATIONS: dict[str, Json] = {
    f"{method.upper()} {path}": item[method]
    for path, item in DOCUMENT["paths"].items()
    for method in METHODS
    if method in item
}
LITERAL_KEYS = ("example", "examples", "default", "enum", "value")


def refs(node: Json, *, at: str = "#") -> Iterator[tuple[str, str]]:
    """Where each $ref stands, and what it points to; what looks like one inside an example is data."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield at, node["$ref"]
        for key, value in node.items():
            if key not in LITERAL_KEYS or at.endswith("/properties"):
                yield from refs(value, at=f"{at}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from refs(value, at=f"{at}/{index}")


def resolve(ref: str) -> Json:
    node = DOCUMENT
    for part in ref.removeprefix("#/").split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def followed(node: Json) -> Json:
    return resolve(node["$ref"]) if "$ref" in node else node


def as_json_schema(node: Json) -> Json:
    """OpenAPI's `nullable` in JSON Schema's words."""
    if isinstance(node, list):
        return [as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {key: as_json_schema(value) for key, value in node.items() if key != "nullable"}
    if node.get("nullable") is True:
        schema["type"] = [node["type"], "null"]
    return schema


def is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


COMPONENTS = as_json_schema({"schemas": SCHEMAS})


def complaints(schema: Json, instance: Json) -> list[str]:
    validator = jsonschema_rs.Draft4Validator(
        {"allOf": [as_json_schema(schema)], "components": COMPONENTS},
        validate_formats=True,
        formats={"uuid": is_uuid},  # Draft 4 knows none
    )
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(instance)]


def subschemas(node: Json, *, at: str) -> Iterator[tuple[str, Json]]:
    yield at, node
    for name, child in node.get("properties", {}).items():
        yield from subschemas(child, at=f"{at}/properties/{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(node.get(keyword), dict):
            yield from subschemas(node[keyword], at=f"{at}/{keyword}")
    for keyword in ("allOf", "anyOf", "oneOf"):
        for index, child in enumerate(node.get(keyword, [])):
            yield from subschemas(child, at=f"{at}/{keyword}/{index}")


def examples_of(holder: Json) -> list[tuple[str, Json]]:
    """The example, or the named examples, of a media type, parameter or header."""
    named = [(name, example["value"]) for name, example in holder.get("examples", {}).items()]
    return named + ([("example", holder["example"])] if "example" in holder else [])


def bodies(operation: Json) -> Iterator[tuple[str, Json]]:
    """Each media type an operation takes or answers with."""
    holders = {status: followed(response) for status, response in operation["responses"].items()}
    if "requestBody" in operation:
        holders["body"] = followed(operation["requestBody"])
    for name, holder in holders.items():
        for media_type, content in holder.get("content", {}).items():
            yield f"{name} {media_type}", content


def parameters() -> Iterator[tuple[str, Json]]:
    for path, item in DOCUMENT["paths"].items():
        for holder in (item, *(item[method] for method in METHODS if method in item)):
            for parameter in holder.get("parameters", []):
                yield f"{path} {followed(parameter)['name']}", followed(parameter)


each_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
each_schema = pytest.mark.parametrize("name", SCHEMAS)


def test_the_servers_stand_in_the_order_clients_read_them() -> None:
    assert [server["url"] for server in DOCUMENT["servers"]] == [
        "/api/image-builder/v1",
        "/api/image-builder/v1.0",
        "/api/v1/image-builder",
    ]


def test_the_lists_that_insights_mcp_reads_stand_inline() -> None:
    assert "guest-image" in SCHEMAS["ImageTypes"]["enum"]
    assert SCHEMAS["ImageRequest"]["properties"]["architecture"]["enum"] == ["x86_64", "aarch64"]


def test_no_two_operations_share_an_id() -> None:
    counted = Counter(operation["operationId"] for operation in OPERATIONS.values())
    assert [name for name, count in counted.items() if count > 1] == []


@each_operation
def test_every_operation_says_what_it_is_for(operation: Json) -> None:
    assert operation["summary"].strip()
    assert operation["description"].strip()
    assert set(operation["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}


@each_operation
def test_every_body_has_an_example_that_fits_it(operation: Json) -> None:
    for place, content in bodies(operation):
        examples = examples_of(content)
        assert examples, f"{place} has no example"
        for name, value in examples:
            assert complaints(content["schema"], value) == [], f"{place} {name}"


@each_operation
def test_every_answer_says_what_it_means_and_carries_the_request_id(operation: Json) -> None:
    for status, response in operation["responses"].items():
        answer = followed(response)
        assert answer["description"].strip(), status
        assert "x-rh-insights-request-id" in answer["headers"], status


@each_operation
def test_every_refusal_is_a_list_of_errors(operation: Json) -> None:
    for status, response in operation["responses"].items():
        if status >= "400":
            schema = followed(response)["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/HTTPErrorList"}, status


@each_operation
def test_every_operation_that_asks_who_calls_can_refuse_the_caller(operation: Json) -> None:
    if operation.get("security") != []:
        assert {"401", "403"} <= operation["responses"].keys()


def test_every_answer_that_asks_for_patience_says_how_much() -> None:
    for operation in OPERATIONS.values():
        if "503" in operation["responses"]:
            assert "Retry-After" in followed(operation["responses"]["503"])["headers"]


@each_operation
def test_every_operation_that_asks_who_calls_tells_the_limits_and_refuses_what_is_beyond(operation: Json) -> None:
    if operation.get("security") != []:
        for status, response in operation["responses"].items():
            if status < "300" or status == "429":
                assert {"RateLimit", "RateLimit-Policy"} <= followed(response)["headers"].keys(), status
        assert "Retry-After" in followed(operation["responses"]["429"])["headers"]


@pytest.mark.parametrize("operation", ["POST /compose", "POST /blueprints/{id}/compose"])
@pytest.mark.parametrize("status", ["201", "403"])
def test_every_start_of_builds_says_what_the_quota_leaves(operation: str, status: str) -> None:
    headers = followed(OPERATIONS[operation]["responses"][status])["headers"]
    assert {"RateLimit", "RateLimit-Policy"} <= headers.keys()


def test_only_the_document_itself_is_open_to_everybody() -> None:
    assert DOCUMENT["security"] == [{"identity": []}]
    opened = [operation["operationId"] for operation in OPERATIONS.values() if "security" in operation]
    assert opened == ["getOpenapiJson"]


def test_every_parameter_is_described_and_its_example_fits_it() -> None:
    for place, parameter in parameters():
        assert parameter["description"].strip(), place
        for _, value in examples_of(parameter):
            assert complaints(parameter["schema"], value) == [], place


def test_every_header_is_described_and_its_example_fits_it() -> None:
    for name, header in DOCUMENT["components"]["headers"].items():
        assert header["description"].strip(), name
        assert examples_of(header), name
        for _, value in examples_of(header):
            assert complaints(header["schema"], value) == [], name


@each_schema
def test_every_schema_says_what_it_is(name: str) -> None:
    assert SCHEMAS[name]["description"].strip()


@each_schema
def test_every_schema_has_an_example_that_fits_it(name: str) -> None:
    assert "example" in SCHEMAS[name]
    for place, schema in subschemas(SCHEMAS[name], at=name):
        if "example" in schema:
            assert complaints(schema, schema["example"]) == [], place


@each_schema
def test_every_default_is_one_the_schema_takes(name: str) -> None:
    for place, schema in subschemas(SCHEMAS[name], at=name):
        if "default" in schema:
            assert complaints(schema, schema["default"]) == [], place


def test_every_reference_leads_somewhere() -> None:
    for place, ref in refs(DOCUMENT):
        assert ref.startswith("#/"), place
        try:
            resolve(ref)
        except KeyError:
            pytest.fail(f"{place} points to {ref}, which does not exist")


def test_no_component_lies_about_unused() -> None:
    reached: set[str] = set()
    waiting = [ref for _, ref in refs(DOCUMENT["paths"])]
    while waiting:
        ref = waiting.pop()
        if ref not in reached:
            reached.add(ref)
            waiting.extend(target for _, target in refs(resolve(ref)))
    named = {name for requirement in DOCUMENT["security"] for name in requirement}
    reached |= {f"#/components/securitySchemes/{name}" for name in named}
    there = {f"#/components/{kind}/{name}" for kind, members in DOCUMENT["components"].items() for name in members}
    assert there - reached == set()


def test_every_link_leads_to_an_operation_and_fills_its_parameters() -> None:
    known = {operation["operationId"] for operation in OPERATIONS.values()}
    for name, operation in OPERATIONS.items():
        for response in operation["responses"].values():
            for link in followed(response).get("links", {}).values():
                assert link["operationId"] in known, name
                assert set(link["parameters"]) in ({"composeId"}, {"id"}), name


def test_a_build_can_be_followed_looked_into_and_hidden_by_the_id_it_was_answered_with() -> None:
    links = DOCUMENT["paths"]["/compose"]["post"]["responses"]["201"]["links"]
    assert {link["operationId"] for link in links.values()} == {
        "getComposeStatus",
        "getComposeMetadata",
        "deleteCompose",
    }
    assert all(link["parameters"] == {"composeId": "$response.body#/id"} for link in links.values())


def test_a_stored_request_of_any_age_can_be_answered() -> None:
    old = {
        "name": "from long ago",
        "distribution": "rhel-7",
        "client_id": "cli",
        "image_requests": [{"image_type": "openstack", "upload_request": {"type": "ftp"}}],
        "customizations": {"users": [{"name": "alice", "hasPassword": True}], "no_longer_there": 1},
    }
    assert complaints(SCHEMAS["StoredComposeRequest"], old) == []
