"""Functions that create the answers of handlers, as Flask responses."""

from __future__ import annotations

from typing import Any, Final

from flask import Response

from image_builder.http.json_body import encode_json_body

_JSON: Final = "application/json"


def json_answer(body: Any, status: int = 200) -> Response:
    """Create an answer with `body` as JSON."""
    return Response(encode_json_body(body), status, content_type=_JSON)


def toml_answer(text: str) -> Response:
    """Create an answer with a TOML document."""
    return Response(text, 200, content_type="application/toml")


def text_answer(text: str) -> Response:
    """An answer whose body is plain text."""
    return Response(text, 200, content_type="text/plain; charset=utf-8")


def encoded_json_answer(encoded: bytes) -> Response:
    """Create an answer from JSON that `encode_json_body` has encoded."""
    return Response(encoded, 200, content_type=_JSON)


def empty_answer(status: int = 200) -> Response:
    """Create an answer without a body and media type."""
    answer = Response(b"", status)
    del answer.headers["Content-Type"]
    return answer
