"""What handlers answer with."""

from __future__ import annotations

from typing import Any, Final

import orjson
from flask import Response

_JSON: Final = "application/json"


def json_answer(body: Any, status: int = 200) -> Response:
    """`body` as JSON; an orjson.Fragment in it goes out as it is."""
    return Response(orjson.dumps(body), status, content_type=_JSON)


def stored_json(served: bytes) -> Response:
    """JSON that is bytes already."""
    return Response(served, 200, content_type=_JSON)


def empty_answer(status: int = 200) -> Response:
    """An answer without a body."""
    return Response(b"", status)
