"""A circuit breaker: a back-end that does not answer is left alone for a while.

Ours, because pybreaker holds its lock for as long as the guarded call takes, which would send requests to a back-end
one after another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Final

FAILURES_TO_OPEN: Final = 5
SECONDS_OPEN: Final = 10.0


class Breaker:
    """Closed until `failures` calls in a row failed; then open, but for one trial after each `seconds`.

    A trial that lasts longer does not keep the next one out: not every call comes to an outcome that says something of
    the back-end, and one that does not may not shut out all others. Calls' deadlines bound how many run at once.
    """

    def __init__(
        self,
        *,
        failures: int = FAILURES_TO_OPEN,
        seconds: float = SECONDS_OPEN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = failures
        self._seconds = seconds
        self._clock = clock
        self._lock = Lock()
        self._failed = 0
        self._retry_at = 0.0

    def admits(self) -> bool:
        """Whether a call may be made now; whoever is admitted says how it went."""
        with self._lock:
            if self._failed < self._limit:
                return True
            now = self._clock()
            if now < self._retry_at:
                return False
            self._retry_at = now + self._seconds  # the others wait for this one's outcome
            return True

    def answered(self) -> None:
        """The back-end gave an answer."""
        with self._lock:
            self._failed = 0

    def failed(self) -> None:
        """The back-end gave none."""
        with self._lock:
            self._failed += 1
            self._retry_at = self._clock() + self._seconds

    @property
    def is_open(self) -> bool:
        """Whether the last calls failed, and nothing has been answered since, however seldom calls are made."""
        with self._lock:
            return self._failed >= self._limit
