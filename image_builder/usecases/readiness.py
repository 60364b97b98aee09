"""Whether the service can do its work, asked by probes however often they like (spec: Meta)."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Final

from domain.errors import UnavailableError

# Seconds for which an answer stands.
_GOOD_FOR: Final = 2.0

Check = Callable[[], None]


class Probe:
    """`check`, asked at most once in a while: between two questions the last answer stands.

    While somebody asks, the others take the last answer too, unless there is none yet. Thread-safe.
    """

    def __init__(
        self, check: Check, *, good_for: float = _GOOD_FOR, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._check = check
        self._good_for = good_for
        self._clock = clock
        self._lock = Lock()
        self._asked_at: float | None = None
        self._error: Exception | None = None
        self._ending = False

    def end(self) -> None:
        """The service is about to end: from now on the answer is that."""
        self._ending = True

    def __call__(self) -> None:
        """Return when all is well. Raises what the check raised, and UnavailableError when the service ends."""
        if self._ending:
            raise UnavailableError("The service is about to end")
        if self._lock.acquire(blocking=self._asked_at is None):
            try:
                if self._asked_at is None or self._clock() - self._asked_at >= self._good_for:
                    self._ask()
            finally:
                self._lock.release()
        if self._error is not None:
            raise self._error

    def _ask(self) -> None:
        try:
            self._check()
        except Exception as error:  # noqa: BLE001 - kept to be raised until the next question
            self._error = error
        else:
            self._error = None
        self._asked_at = self._clock()
