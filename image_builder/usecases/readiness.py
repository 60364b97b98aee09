"""Checks that the service can work, at a limited rate (openapi.yaml, operation getReadiness)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from domain.errors import UnavailableError
from ports.shared_calls import SharedCall

# Seconds for which an outcome of the check is valid.
_VALID_FOR: Final = 2.0


class Probe:
    """Runs a check at most once every two seconds, and repeats the last outcome in between.

    Callers that come while the check runs get the last outcome, too, if there is one. Thread-safe.
    """

    def __init__(
        self, check: Callable[[], None], *, valid_for: float = _VALID_FOR, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._check = SharedCall(
            check, valid_for=valid_for, errors_valid_for=valid_for, serve_last_while_running=True, clock=clock
        )
        self._ending = False

    def end(self) -> None:
        """Let the probe raise UnavailableError from now on, because the service is about to end."""
        self._ending = True

    def __call__(self) -> None:
        """Check that the service can work. Raises the error of the check, and UnavailableError after `end`."""
        if self._ending:
            raise UnavailableError("The service is about to end")
        self._check()
