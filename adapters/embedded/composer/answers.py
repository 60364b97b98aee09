"""Answers and errors in the composer's format."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

from starlette.responses import Response

from adapters.embedded.stand_in.answers import answer

BASE: Final = "/api/image-builder-composer/v2"


class RefusedError(Exception):
    """The call is answered with an error of the composer; `id` is the number of the kind of error, as text."""

    def __init__(self, status: int, id: str, reason: str, details: object = None) -> None:  # noqa: A002 - its name on the wire
        super().__init__(reason)
        self.status = status
        self.id = id
        self.reason = reason
        self.details = details

    def answer(self) -> Response:
        """The answer with the error in the composer's format."""
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


def reference(kind: str, id: str, path: str) -> dict[str, Any]:  # noqa: A002 - its name on the wire
    """The three fields with which each document of the composer begins."""
    return {"href": BASE + path, "id": id, "kind": kind}
