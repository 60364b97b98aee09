"""What the stand-ins are told, and what they remember: calls and tokens."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request

from adapters.embedded.calls import Calls
from adapters.embedded.platform.answers import BACK_ENDS, RefusedError
from adapters.embedded.platform.behaviour import NO_FAULTS, Faults
from adapters.embedded.waiting import Waiting

REMEMBERED: Final = 200


class Steering(Waiting):
    """The one changeable thing beside what is known; lives on the event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.require_token = False
        self.hide_origin = False
        self._faults = dict.fromkeys(BACK_ENDS, NO_FAULTS)
        self._calls = Calls(REMEMBERED)
        self._tokens: set[str] = set()

    def change(self, changes: Mapping[str, Any]) -> None:
        """Put the faults in force; calls that hang look again."""
        for back_end in BACK_ENDS:
            if back_end in changes:
                self._faults[back_end] = self._faults[back_end].merged(changes[back_end])
        self.require_token = changes.get("require_token", self.require_token)
        self.hide_origin = changes.get("hide_origin", self.hide_origin)
        self.wake()

    def behave(self) -> None:
        """Nothing is wrong any more."""
        self._faults = dict.fromkeys(BACK_ENDS, NO_FAULTS)
        self.require_token = False
        self.hide_origin = False
        self.wake()

    def forget(self) -> None:
        """Calls so far are of no interest any more."""
        self._calls.forget()

    def call(self, back_end: str, operation: str, request: Request, body: bytes) -> AbstractContextManager[None]:
        """Remember the call, for as long as it takes."""
        headers = request.headers
        return self._calls.made(
            f"{back_end} {operation}",
            {
                "back_end": back_end,
                "method": request.method,
                "path": request.scope["raw_path"].partition(b"?")[0].decode("latin-1"),
                "query": request.url.query,
                "identity": "x-rh-identity" in headers,
                "request_id": headers.get("x-rh-insights-request-id"),
                "trace_id": headers.get("x-strc-trace-id"),
                "body": body.decode(errors="replace") or None,
            },
        )

    async def faults(self, back_end: str, operation: str) -> Faults:
        """What is wrong with this call, after it has waited as long as it is to wait."""
        faults = self._take(back_end, operation)
        if faults.hang:
            await self.hang_while(lambda: self._faults[back_end].hang)
            faults = self._take(back_end, operation)
        await self.pause(faults.latency)
        return faults

    def issue_token(self) -> str:
        """A new access token for recommendations."""
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        return token

    def authorize(self, authorization: str | None) -> None:
        """Raise RefusedError unless the header carries a token of ours, or none is required."""
        scheme, _, token = (authorization or "").partition(" ")
        if self.require_token and (scheme.lower() != "bearer" or token not in self._tokens):
            raise RefusedError(401, "Not authenticated")

    def document(self) -> dict[str, Any]:
        """All of it, to be shown."""
        return {
            **{back_end: faults.document() for back_end, faults in self._faults.items()},
            "require_token": self.require_token,
            "hide_origin": self.hide_origin,
            **self._calls.document(),
        }

    def _take(self, back_end: str, operation: str) -> Faults:
        faults = self._faults[back_end]
        if faults.only is not None and operation not in faults.only:
            return NO_FAULTS
        if faults.times == 1:
            self._faults[back_end] = NO_FAULTS
        elif faults.times is not None:
            self._faults[back_end] = replace(faults, times=faults.times - 1)
        return faults
