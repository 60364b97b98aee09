"""A circuit breaker: after repeated failures, calls of a back-end are rejected for a while.

The library pybreaker holds its lock during the guarded call, so a back-end would get only one request at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Final

# Consecutive failures that open the breaker.
FAILURES_TO_OPEN: Final = 5
# Seconds between two trial calls while the breaker is open.
SECONDS_OPEN: Final = 10.0


class Breaker:
    """The circuit breaker of one back-end. It is thread-safe.

    It opens after `failures` consecutive failures. While it is open, it allows one trial call every `seconds` seconds,
    even if an earlier trial has not ended: a call may end without a sign that the back-end works or fails, and must not
    block all others. The deadlines of the calls limit how many trials run at the same time. `clock` returns seconds.
    """

    def __init__(
        self,
        *,
        failures: int = FAILURES_TO_OPEN,
        seconds: float = SECONDS_OPEN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures_to_open = failures
        self._seconds = seconds
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        # The time of the next trial call.
        self._retry_at = 0.0

    def allows_call(self) -> bool:
        """Whether a call may be made now. The caller then reports the outcome with one of the `record_` methods."""
        with self._lock:
            if self._failures < self._failures_to_open:
                return True
            now = self._clock()
            if now < self._retry_at:
                return False
            self._retry_at = now + self._seconds  # until then, only this call is a trial
            return True

    def record_answer(self) -> None:
        """Record that the back-end answered, which closes the breaker."""
        with self._lock:
            self._failures = 0

    def record_failure(self) -> None:
        """Record that the back-end did not answer."""
        with self._lock:
            self._failures += 1
            self._retry_at = self._clock() + self._seconds

    @property
    def is_open(self) -> bool:
        """Whether the breaker is open: the last calls failed and no call has succeeded since."""
        with self._lock:
            return self._failures >= self._failures_to_open
