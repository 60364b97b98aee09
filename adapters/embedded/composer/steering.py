"""What the stand-in is told, and what it remembers: counters, the latest calls, tokens."""

from __future__ import annotations

import secrets
import time
from collections import Counter, deque
from typing import Any, Final

from starlette.requests import Request

from adapters.embedded.composer.answers import RefusedError
from adapters.embedded.composer.behaviour import Behaviour
from adapters.embedded.waiting import Waiting

REMEMBERED: Final = 100
WATCHED: Final = (
    b"x-strc-trace-id",
    b"x-rh-insights-request-id",
    b"x-rh-identity",
    b"x-fedora-identity",
    b"authorization",
)


class Steering(Waiting):
    """The one changeable thing beside the composes; lives on the event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.behaviour = Behaviour()
        self.counters: Counter[str] = Counter()
        self.deleted: list[str] = []
        self._recent: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self._tokens: dict[str, float] = {}

    def change(self, behaviour: Behaviour) -> None:
        """Put the behaviour in force; calls that hang look again."""
        self.behaviour = behaviour
        self.wake()

    def forget(self) -> None:
        """Counters and calls so far are of no interest any more."""
        self.counters.clear()
        self.deleted.clear()
        self._recent.clear()

    def record(self, operation: str, request: Request) -> bytes | None:
        """Remember the call, and hand back its `Authorization` header."""
        self.counters[operation] += 1
        headers = {name: value for name, value in request.scope["headers"] if name in WATCHED}
        self._recent.append(
            {
                "method": request.scope["method"],
                "path": request.scope["path"],
                "trace_id": _text(headers.get(b"x-strc-trace-id")),
                "request_id": _text(headers.get(b"x-rh-insights-request-id")),
                "identity": b"x-rh-identity" in headers or b"x-fedora-identity" in headers,
            }
        )
        return headers.get(b"authorization")

    async def wait(self) -> None:
        """Wait as long as the behaviour says a call waits before it is looked at."""
        await self.hang_while(lambda: self.behaviour.hang)
        await self.pause(self.behaviour.latency)

    def issue_token(self) -> str:
        """A new access token."""
        token = secrets.token_urlsafe(24)
        self._tokens[token] = time.monotonic() + self.behaviour.token_expires_in
        return token

    def revoke_tokens(self) -> None:
        """No token issued so far is good any more."""
        self._tokens.clear()

    def authorize(self, authorization: bytes | None) -> None:
        """Raise RefusedError unless the header carries a living token of ours, or none is required."""
        if not self.behaviour.require_token:
            return
        scheme, _, token = (_text(authorization) or "").partition(" ")
        if scheme.lower() != "bearer" or self._tokens.get(token, 0) <= time.monotonic():
            raise RefusedError(401, "401", "Account authentication could not be verified")

    def document(self, composes: int) -> dict[str, Any]:
        """All of it, to be shown."""
        return {
            **self.behaviour.document(),
            "counters": dict(self.counters),
            "composes": composes,
            "deleted": self.deleted,
            "recent": list(self._recent),
        }


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
