"""Calls of the database that a busy machine refuses at first."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from domain.errors import UnavailableError
from tests.support.waiting import PATIENCE

T = TypeVar("T")

# Seconds between two calls.
_PAUSE: Final = 0.05


def retry_while_unavailable(call: Callable[[], T]) -> T:
    """Return what the call returns; call it again if it raises UnavailableError, until the patience of tests ends.

    The service waits about a second for a connection or for the slot of a tenant, and then refuses.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
