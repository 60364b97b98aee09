"""The schemas of the composer's requests, for the stand-in and for tests that create such requests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

SEARCH = {
    "type": "object",
    "additionalProperties": False,
    "required": ["packages", "distribution", "architecture"],
    "properties": {
        "distribution": {"type": "string"},
        "architecture": {"type": "string"},
        "packages": {"type": "array", "items": {"type": "string"}},
        "repositories": {"type": "array", "items": {"type": "object"}},
    },
}

DEPSOLVE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["blueprint", "distribution", "architecture"],
    "properties": {
        "distribution": {"type": "string"},
        "architecture": {"type": "string"},
        "image_type": {"type": "string"},
        "blueprint": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        "repositories": {"type": "array", "items": {"type": "object"}},
    },
}


@cache
def compose_request_schema() -> dict[str, Any]:
    """The schema ComposeRequest of the composer's API."""
    text = (Path(__file__).parent / "compose_request.yaml").read_bytes()
    schema: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return schema


@cache
def compose_request_validator() -> jsonschema_rs.Validator:
    """The validator of a body of POST /compose."""
    return _compiled(compose_request_schema())


@cache
def search_validator() -> jsonschema_rs.Validator:
    """The validator of a body of POST /search/packages."""
    return _compiled(SEARCH)


@cache
def depsolve_validator() -> jsonschema_rs.Validator:
    """The validator of a body of POST /depsolve/blueprint."""
    return _compiled(DEPSOLVE)


def _compiled(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    # The real composer checks no format but uuid: a base URL may contain `$basearch`, and a proxy may be empty.
    return jsonschema_rs.validator_for(schema, validate_formats=True, formats={"uri": lambda _: True})
