"""What the composer takes: its ComposeRequest, for the stand-in and for the tests of whoever builds one."""

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


@cache
def compose_request_schema() -> dict[str, Any]:
    """The schema as a document."""
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


def _compiled(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    # Of the formats the real composer checks uuid alone: a base URL may hold `$basearch`, a proxy be empty.
    return jsonschema_rs.validator_for(schema, validate_formats=True, formats={"uri": lambda _: True})
