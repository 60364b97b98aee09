"""Whether the current work may wait for a back-end on its thread.

Some operations need a back-end only for a few requests, which is known only after reading the database. While the
threads for waiting requests are busy, such a request is first tried on a thread for direct requests, where it must not
wait: `about_to_wait` ends the attempt.

Work on another thread needs the context of the request (`contextvars.copy_context().run`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_allowed: ContextVar[bool] = ContextVar("may_wait_for_back_ends", default=True)


class MustWaitError(Exception):
    """The work needs a back-end but may not wait for it on this thread; it has changed nothing yet."""


@contextmanager
def waiting_forbidden() -> Iterator[None]:
    """Forbid the work within the context to wait for back-ends."""
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)


def about_to_wait() -> None:
    """Announce that the work will wait for a back-end now. Raises MustWaitError if that is forbidden.

    It must be called before the request changes anything.
    """
    if not _allowed.get():
        raise MustWaitError
