"""Whether the work at hand may wait for back-ends on the thread that it runs on.

Some requests need a back-end only now and then, which the database tells. While the threads for requests that wait are
busy, such a request is tried on a thread of the others, where it must not wait: `about_to_wait` ends the attempt.

A thread that is handed a part of the work takes this along with the context it runs in
(`contextvars.copy_context().run`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_allowed: ContextVar[bool] = ContextVar("may_wait_for_back_ends", default=True)


class MustWaitError(Exception):
    """The work needs a back-end and may not wait for one here; nothing has been changed yet."""


@contextmanager
def waiting_forbidden() -> Iterator[None]:
    """What is done within may not wait for back-ends."""
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)


def about_to_wait() -> None:
    """Say that the work at hand will wait for a back-end now. Raises MustWaitError where it may not.

    A request that changes something says so before it changes anything.
    """
    if not _allowed.get():
        raise MustWaitError
