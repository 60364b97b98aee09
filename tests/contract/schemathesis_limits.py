"""What schemathesis does not know: TOML, and that addresses may be anything."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("application/toml")
def toml(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """A body as the text that it is."""
    return str(value).encode()


@schemathesis.hook
def before_load_schema(_context: Any, document: dict[str, Any]) -> None:
    """Take addresses for texts: one may hold `$basearch`, or no scheme."""
    for schema in document["components"]["schemas"].values():
        _without_uris(schema)


def _without_uris(schema: Any) -> None:
    if isinstance(schema, list):
        for each in schema:
            _without_uris(each)
    elif isinstance(schema, dict):
        if schema.get("format") == "uri":
            del schema["format"]
        for each in schema.values():
            _without_uris(each)
