"""What a stand-in was asked: how often each operation, and the latest calls with the time that each took."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Calls:
    """Remembers as many calls as it is told to; the counters know of all."""

    def __init__(self, remembered: int) -> None:
        self._counters: Counter[str] = Counter()
        self._recent: deque[dict[str, Any]] = deque(maxlen=remembered)

    @contextmanager
    def made(self, operation: str, told: dict[str, Any]) -> Iterator[None]:
        """Remember a call of which this is told, for as long as it takes.

        It began and ended, None until it has, at times of the machine's monotonic clock, one for all its processes.
        """
        call = {**told, "began": time.monotonic(), "ended": None}
        self._counters[operation] += 1
        self._recent.append(call)
        try:
            yield
        finally:
            call["ended"] = time.monotonic()

    def forget(self) -> None:
        """All so far is of no interest any more."""
        self._counters.clear()
        self._recent.clear()

    def document(self) -> dict[str, Any]:
        """All of it, to be shown."""
        return {"counters": dict(self._counters), "recent": list(self._recent)}
