"""Whether the service can do its work, however often probes ask (operation getReadiness)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from domain.errors import UnavailableError
from ports.shared_calls import SharedCall

# Seconds for which an outcome of the check is valid.
_VALID_FOR: Final = 2.0


class Probe:
    """Runs a check at most once every two seconds, and answers with the last outcome in between.

    While the check runs, other callers get the last outcome, too, unless there is none yet. Thread-safe.
    """

    def __init__(
        self, check: Callable[[], None], *, valid_for: float = _VALID_FOR, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._check = SharedCall(
            check, valid_for=valid_for, errors_valid_for=valid_for, serve_last_while_running=True, clock=clock
        )
        self._ending = False

    def end(self) -> None:
        """The service is about to end: from now on the probe raises UnavailableError."""
        self._ending = True

    def __call__(self) -> None:
        """Return when all is well. Raises what the check raised, and UnavailableError when the service ends."""
        if self._ending:
            raise UnavailableError("The service is about to end")
        self._check()
