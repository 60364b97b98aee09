"""What the stand-in is told, and what it remembers: calls and tokens."""

from __future__ import annotations

import secrets
import time
from contextlib import AbstractContextManager
from typing import Any, Final

from starlette.requests import Request

from adapters.embedded.calls import Calls
from adapters.embedded.composer.answers import RefusedError
from adapters.embedded.composer.behaviour import Behaviour
from adapters.embedded.waiting import Waiting

REMEMBERED: Final = 100
WATCHED: Final = (
    b"x-strc-trace-id",
    b"x-rh-insights-request-id",
    b"x-rh-identity",
    b"x-fedora-identity",
)


class Steering(Waiting):
    """The one changeable thing beside the composes; lives on the event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.behaviour = Behaviour()
        self.deleted: list[str] = []
        self._calls = Calls(REMEMBERED)
        self._tokens: dict[str, float] = {}

    def change(self, document: Any) -> None:
        """Change the keys of the behaviour that are given; calls that hang look again.

        Raises marshmallow's ValidationError.
        """
        revoke = isinstance(document, dict) and document.pop("revoke_tokens", False) is True
        self.behaviour = self.behaviour.merged(document)
        if revoke:
            self._tokens.clear()
        self.wake()

    def behave(self) -> None:
        """Nothing is unusual any more."""
        self.behaviour = Behaviour()
        self.wake()

    def forget(self) -> None:
        """Calls so far are of no interest any more."""
        self.deleted.clear()
        self._calls.forget()

    def call(self, operation: str, request: Request) -> AbstractContextManager[None]:
        """Remember the call, for as long as it takes."""
        headers = {name: value for name, value in request.scope["headers"] if name in WATCHED}
        return self._calls.made(
            operation,
            {
                "method": request.scope["method"],
                "path": request.scope["path"],
                "trace_id": _text(headers.get(b"x-strc-trace-id")),
                "request_id": _text(headers.get(b"x-rh-insights-request-id")),
                "identity": b"x-rh-identity" in headers or b"x-fedora-identity" in headers,
            },
        )

    async def wait(self) -> None:
        """Wait as long as the behaviour says a call waits before it is looked at."""
        await self.hang_while(lambda: self.behaviour.hang)
        await self.pause(self.behaviour.latency)

    def issue_token(self) -> str:
        """A new access token."""
        token = secrets.token_urlsafe(24)
        self._tokens[token] = time.monotonic() + self.behaviour.token_expires_in
        return token

    def authorize(self, authorization: str) -> None:
        """Raise RefusedError unless the header carries a living token of ours, or none is required."""
        if not self.behaviour.require_token:
            return
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or self._tokens.get(token, 0) <= time.monotonic():
            raise RefusedError(401, "401", "Account authentication could not be verified")

    def document(self, composes: int) -> dict[str, Any]:
        """All of it, to be shown."""
        return {
            **self.behaviour.document(),
            **self._calls.document(),
            "composes": composes,
            "deleted": self.deleted,
        }


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
