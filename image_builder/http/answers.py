"""What handlers answer with."""

from __future__ import annotations

from typing import Any, Final

from flask import Response

from image_builder.http.json_body import json_body

_JSON: Final = "application/json"


def json_answer(body: Any, status: int = 200) -> Response:
    """`body` as `json_body` writes it."""
    return Response(json_body(body), status, content_type=_JSON)


def toml_answer(text: str) -> Response:
    """`text` as TOML."""
    return Response(text, 200, content_type="application/toml")


def stored_json(served: bytes) -> Response:
    """JSON that `json_body` wrote before."""
    return Response(served, 200, content_type=_JSON)


def empty_answer(status: int = 200) -> Response:
    """An answer without a body."""
    answer = Response(b"", status)
    del answer.headers["Content-Type"]
    return answer
