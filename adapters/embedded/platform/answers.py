"""Reading requests, and writing errors in the format of each back-end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from adapters.embedded.stand_in.answers import answer
from domain.base64_data import decode_base64

CONTENT_SOURCES: Final = "content_sources"
PROVISIONING: Final = "provisioning"
COMPLIANCE: Final = "compliance"
RECOMMENDATIONS: Final = "recommendations"
BACK_ENDS: Final = (CONTENT_SOURCES, PROVISIONING, COMPLIANCE, RECOMMENDATIONS)


class RefusedError(Exception):
    """The call is answered with an error in the back-end's format."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def refusal(back_end: str, status: int, reason: str) -> Response:
    """The answer with an error in the format of this back-end."""
    return answer(_SHAPES[back_end](status, reason), status)


async def json_object(request: Request) -> dict[str, Any]:
    """The request's body. Raises RefusedError unless it is a JSON object."""
    try:
        document = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, f"Error binding parameters: {error}") from None
    if not isinstance(document, dict):
        raise RefusedError(400, "Error binding parameters: not an object")
    return document


def texts(document: Mapping[str, Any], key: str) -> list[str]:
    """The list of texts at this key. Raises RefusedError for any other value, or none."""
    value = document.get(key)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise RefusedError(400, f"{key}: expected a list of texts")
    return value


def org_id(request: Request, status: int = 401) -> str:
    """The organization of the identity header. Raises RefusedError without a header."""
    header = request.headers.get("x-rh-identity")
    if not header:
        raise RefusedError(status, "x-rh-identity: missing or malformed")
    try:
        identity = orjson.loads(decode_base64(header))["identity"]
        return str(identity.get("org_id") or identity["internal"]["org_id"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return "stand-in"


def _content_sources(status: int, reason: str) -> dict[str, Any]:
    return {"errors": [{"status": status, "title": "Error", "detail": reason}]}


def _provisioning(_: int, reason: str) -> dict[str, Any]:
    document = dict.fromkeys(("trace_id", "edge_id", "version", "build_time"), "")
    return {**document, "environment": "stand-in", "msg": reason, "error": reason}


def _compliance(_: int, reason: str) -> dict[str, Any]:
    return {"errors": [reason]}


def _recommendations(_: int, reason: str) -> dict[str, Any]:
    return {"detail": reason}


_SHAPES: Final[Mapping[str, Callable[[int, str], dict[str, Any]]]] = {
    CONTENT_SOURCES: _content_sources,
    PROVISIONING: _provisioning,
    COMPLIANCE: _compliance,
    RECOMMENDATIONS: _recommendations,
}
