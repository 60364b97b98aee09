"""The state of a stand-in that tests control: its behaviour, the calls it received, the access tokens it issued."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request


class Calls:
    """How often each operation was called, and the latest calls with the time that each took."""

    def __init__(self, max_recent: int) -> None:
        """Keep the latest `max_recent` calls; the counters count all calls."""
        self._counters: Counter[str] = Counter()
        self._recent: deque[dict[str, Any]] = deque(maxlen=max_recent)

    @contextmanager
    def record(self, operation: str, request: Request, **details: object) -> Iterator[None]:
        """Record a call while it runs, with these `details`.

        `began` and `ended` (None until then) are times of the machine's monotonic clock, which its processes share.
        """
        headers = request.headers
        call = {
            **details,
            "method": request.method,
            "path": request.scope["raw_path"].partition(b"?")[0].decode("latin-1"),
            "identity": "x-rh-identity" in headers or "x-fedora-identity" in headers,
            "request_id": headers.get("x-rh-insights-request-id"),
            "trace_id": headers.get("x-strc-trace-id"),
            "began": time.monotonic(),
            "ended": None,
        }
        self._counters[operation] += 1
        self._recent.append(call)
        try:
            yield
        finally:
            call["ended"] = time.monotonic()

    def clear(self) -> None:
        """Remove all recorded calls and counters."""
        self._counters.clear()
        self._recent.clear()

    def document(self) -> dict[str, Any]:
        """The counters and the latest calls."""
        return {"counters": dict(self._counters), "recent": list(self._recent)}


class AccessTokens:
    """The OAuth2 access tokens that a stand-in has issued."""

    def __init__(self) -> None:
        self._expiry: dict[str, float] = {}

    def issue(self, expires_in: float) -> str:
        """A new token that is valid for that many seconds."""
        token = secrets.token_urlsafe(24)
        self._expiry[token] = time.monotonic() + expires_in
        return token

    def revoke(self) -> None:
        """Make all tokens invalid."""
        self._expiry.clear()

    def authorize(self, request: Request) -> bool:
        """Whether the request carries a valid token (RFC 6750, section 2.1)."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self._expiry.get(token, 0.0) > time.monotonic()


class Steering:
    """The state that all stand-ins have, and the delays of their calls. Use it on the event loop only."""

    def __init__(self, *, max_recent_calls: int) -> None:
        self.closing = False
        self.calls = Calls(max_recent_calls)
        self.tokens = AccessTokens()
        self._closed = asyncio.Event()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """Release all calls that wait: the process is about to end."""
        self.closing = True
        self._closed.set()
        self.wake()

    def wake(self) -> None:
        """Have calls that hang check their condition again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def hang_while(self, condition: Callable[[], bool]) -> None:
        """Wait while `condition` holds, or until the process is about to end."""
        while condition() and not self.closing:
            await self._changed.wait()

    async def pause(self, seconds: float) -> None:
        """Wait so many seconds, or until the process is about to end."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), seconds)
