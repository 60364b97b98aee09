"""Bodies that an older program, or somebody by hand, stored in a shape that the contract does not know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from domain.blueprints import lint, secrets
from domain.blueprints.blueprint import Blueprint, normalize_body
from domain.blueprints.composing import create_compose_requests
from domain.blueprints.export import export_blueprint, find_community_urls
from domain.compose.passwords import present_request
from image_builder.http.toml import format_export
from image_builder.usecases.export import Export
from tests.support.openapi import openapi_document

Json = Any
SCHEMAS: dict[str, Json] = openapi_document()["components"]["schemas"]
ODD: list[Json] = [None, [], {}, "text", 7, True, [None], ["x"], [7], [{}], [[]], {"x": 1}]
REQUIRED = {
    "packages": ["aide"],
    "services": {"enabled": ["auditd"]},
    "kernel": {"append": "audit=1"},
    "filesystem": [{"mountpoint": "/var/log", "min_size": 1}],
    "fips": {"enabled": True},
}


def sample(schema: Json) -> Json:
    """Something of all that a schema allows for."""
    if "$ref" in schema:
        return sample(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    if "oneOf" in schema:
        return sample(schema["oneOf"][0])
    if "allOf" in schema:
        return {name: value for part in schema["allOf"] for name, value in sample(part).items()}
    if schema.get("type") == "object":
        return {name: sample(each) for name, each in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [sample(schema["items"])]
    return {"integer": 1, "boolean": True}.get(schema.get("type", ""), schema.get("enum", ["text"])[0])


def places(node: Json, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a document."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from places(value, (*path, key))


def with_value(node: Json, path: tuple[Any, ...], value: Json) -> Json:
    """The document with another value in one place."""
    if not path:
        return value
    if isinstance(node, dict):
        return {**node, path[0]: with_value(node[path[0]], path[1:], value)}
    return [with_value(each, path[1:], value) if number == path[0] else each for number, each in enumerate(node)]


BODY = {
    name: sample(SCHEMAS["CreateBlueprintRequest"]["properties"][name])
    for name in ("distribution", "bootc", "image_requests", "customizations")
}
PLACES = list(places(BODY))


def used(stored: Json) -> str:
    """All that is answered, handed on and made of a stored body, as text."""
    blueprint = Blueprint(uuid4(), "web", "", 1, uuid4(), normalize_body(stored))
    exported = export_blueprint(blueprint, [], datetime.now(UTC)).document
    return json.dumps(
        [
            present_request(blueprint.body),
            blueprint.policy_id,
            find_community_urls(blueprint.customizations),
            exported,
            format_export(Export(exported, None)),
            create_compose_requests(blueprint, "ui", ["guest-image"]),
            lint.add_requirements(blueprint.customizations, REQUIRED),
            secrets.carry_over_secrets({"customizations": {"users": [{"name": "u"}]}}, blueprint.body),
        ]
    )


def test_the_sample_is_of_all_customizations() -> None:
    assert set(BODY["customizations"]) == set(SCHEMAS["Customizations"]["properties"])
    assert len(PLACES) > 150


@pytest.mark.parametrize("odd", ODD, ids=map(json.dumps, ODD))
def test_whatever_stands_wherever_is_read_handed_on_and_built(odd: Json) -> None:
    for path in PLACES:
        assert used(with_value(BODY, path, odd)), path


def test_users_of_another_shape_are_not_answered() -> None:
    assert "secret" not in used({"customizations": {"users": {"name": "u", "password": "secret"}}})
