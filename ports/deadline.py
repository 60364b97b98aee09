"""By when the work at hand has to be done, whoever waits for something on its behalf.

A thread that is handed a part of the work takes the deadline along with the context it runs in
(`contextvars.copy_context().run`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Of `time.monotonic`; None: there is none.
current_deadline: ContextVar[float | None] = ContextVar("current_deadline", default=None)


@contextmanager
def until(seconds: float) -> Iterator[None]:
    """What is done within has `seconds` at most, or less where less was left before."""
    deadline = time.monotonic() + seconds
    before = current_deadline.get()
    token = current_deadline.set(deadline if before is None else min(before, deadline))
    try:
        yield
    finally:
        current_deadline.reset(token)


def left() -> float:
    """Seconds left, infinity where there is no deadline; negative once it has passed."""
    deadline = current_deadline.get()
    return math.inf if deadline is None else deadline - time.monotonic()
