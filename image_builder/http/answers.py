"""Answers of handlers, as Flask responses."""

from __future__ import annotations

from typing import Any, Final

from flask import Response

from image_builder.http.json_body import json_body

_JSON: Final = "application/json"


def json_answer(body: Any, status: int = 200) -> Response:
    """An answer whose body is `body` as JSON."""
    return Response(json_body(body), status, content_type=_JSON)


def toml_answer(text: str) -> Response:
    """An answer whose body is a TOML document."""
    return Response(text, 200, content_type="application/toml")


def text_answer(text: str) -> Response:
    """An answer whose body is plain text."""
    return Response(text, 200, content_type="text/plain; charset=utf-8")


def encoded_json_answer(encoded: bytes) -> Response:
    """An answer whose body is a result of `json_body`."""
    return Response(encoded, 200, content_type=_JSON)


def empty_answer(status: int = 200) -> Response:
    """An answer without a body."""
    answer = Response(b"", status)
    del answer.headers["Content-Type"]
    return answer
