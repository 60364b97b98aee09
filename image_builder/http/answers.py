"""What handlers answer with."""

from __future__ import annotations

from typing import Any, Final

import orjson
from flask import Response

_JSON: Final = "application/json"
_TIMES: Final = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS


def json_answer(body: Any, status: int = 200) -> Response:
    """`body` as JSON, times without a zone as UTC to the second; an orjson.Fragment in it goes out as it is."""
    return Response(orjson.dumps(body, option=_TIMES), status, content_type=_JSON)


def toml_answer(text: str) -> Response:
    """`text` as TOML."""
    return Response(text, 200, content_type="application/toml")


def stored_json(served: bytes) -> Response:
    """JSON that is bytes already."""
    return Response(served, 200, content_type=_JSON)


def empty_answer(status: int = 200) -> Response:
    """An answer without a body."""
    answer = Response(b"", status)
    del answer.headers["Content-Type"]
    return answer
