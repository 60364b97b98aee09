"""Waiting for what has to come, at a time that nobody can tell."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 30.0
_LOOK = 0.01


def comes_true(condition: Callable[[], object], within: float = PATIENCE) -> bool:
    """Whether the condition holds, after waiting for it at most so many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK)
    return True


def until(condition: Callable[[], object], what: str, within: float = PATIENCE) -> None:
    """Return when the condition holds; it fails as `what`."""
    assert comes_true(condition, within), f"not within {within:.0f} s: {what}"
