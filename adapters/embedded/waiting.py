"""Calls of a stand-in that are made to wait, and let go when it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable


class Waiting:
    """Where calls wait; lives on the event loop."""

    def __init__(self) -> None:
        self.closing = False
        self._closed = asyncio.Event()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """The process is about to end: nobody waits any longer."""
        self.closing = True
        self._closed.set()
        self.wake()

    def wake(self) -> None:
        """Whoever hangs looks again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def hang_while(self, condition: Callable[[], bool]) -> None:
        """Wait as long as that holds, or until the process is about to end."""
        while condition() and not self.closing:
            await self._changed.wait()

    async def pause(self, seconds: float) -> None:
        """Wait that long, or until the process is about to end."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), seconds)
