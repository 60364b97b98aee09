"""The deadline of the current work, which every call of a back-end on its behalf respects.

Work on another thread needs the context of the request (`contextvars.copy_context().run`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# In the time of `time.monotonic`; None for no deadline.
current_deadline: ContextVar[float | None] = ContextVar("current_deadline", default=None)


@contextmanager
def until(seconds: float) -> Iterator[None]:
    """Limit the work within the context to `seconds`, or to an earlier deadline that is set already."""
    deadline = time.monotonic() + seconds
    before = current_deadline.get()
    token = current_deadline.set(deadline if before is None else min(before, deadline))
    try:
        yield
    finally:
        current_deadline.reset(token)


def remaining_seconds() -> float:
    """Return the seconds until the deadline: infinity without one, negative after it."""
    deadline = current_deadline.get()
    return math.inf if deadline is None else deadline - time.monotonic()
