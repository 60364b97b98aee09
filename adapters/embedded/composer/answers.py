"""How the composer answers: documents and errors, and a connection cut off without either."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

import orjson
from starlette.responses import Response

BASE: Final = "/api/image-builder-composer/v2"


class RefusedError(Exception):
    """The call ends with the composer's error body; `id` is its number of the kind of error, as text."""

    def __init__(self, status: int, id: str, reason: str, details: object = None) -> None:  # noqa: A002 - its name on the wire
        super().__init__(reason)
        self.status = status
        self.id = id
        self.reason = reason
        self.details = details

    def answer(self) -> Response:
        """The error as the composer writes it."""
        body: dict[str, Any] = {
            "href": f"{BASE}/errors/{self.id}",
            "id": self.id,
            "kind": "Error",
            "code": f"IMAGE-BUILDER-COMPOSER-{self.id}",
            "operation_id": uuid4().hex,
            "reason": self.reason,
        }
        if self.details is not None:
            body["details"] = self.details
        return answer(body, self.status)


def answer(content: object, status: int = 200) -> Response:
    """A JSON document."""
    return Response(orjson.dumps(content), status, media_type="application/json")


def reference(kind: str, id: str, path: str) -> dict[str, Any]:  # noqa: A002 - its name on the wire
    """The three fields every document of the composer starts with."""
    return {"href": BASE + path, "id": id, "kind": kind}
