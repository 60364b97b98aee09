"""Reservations of memory for the current request.

Code that is about to hold large data for a request (its body, a stored document, an answer) reserves the bytes first.
The account of the request releases all reservations when the request has ended.

Two requests that each hold memory and wait for more would wait for each other. Code that knows it will need more later
therefore reserves that at the same time, as `later`: further reservations of the request are taken from it first.

Work on another thread needs the context of the request (`contextvars.copy_context().run`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, Protocol


class Reserved(NamedTuple):
    """The bytes that a request has reserved in total, and those of them that are set aside for later reservations."""

    size: int
    set_aside: int


class MemoryAccount(Protocol):
    """The memory reservations of one request."""

    @property
    def size(self) -> int:
        """The number of reserved bytes, without those set aside for later."""

    def snapshot(self) -> Reserved:
        """Return the current reservations."""

    def reserve(self, size: int, later: int = 0) -> None:
        """Reserve `size` more bytes; blocks the calling thread while other requests use too much memory.

        In addition, `later` bytes (at most what one request may have) are set aside for later reservations.

        Raises UnavailableError if the memory is not available in time, and InvalidRequestError if the total
        exceeds the limit of one request.
        """

    def restore(self, reserved: Reserved) -> None:
        """Release what has been reserved since the snapshot `reserved`."""


# None outside a request: periodic tasks and commands limit their memory themselves.
current_memory: ContextVar[MemoryAccount | None] = ContextVar("current_memory", default=None)


def reserved_memory() -> int:
    """Return the number of bytes that are reserved for the current request, without those set aside.

    The result is 0 outside a request.
    """
    account = current_memory.get()
    return 0 if account is None else account.size


def require_memory(size: int) -> None:
    """Increase the reservation of the current request to `size` bytes.

    Raises the errors of MemoryAccount.reserve.
    """
    reserve_memory(max(size - reserved_memory(), 0))


def reserve_memory(size: int, later: int = 0) -> None:
    """Reserve `size` more bytes for the current request; does nothing outside a request.

    `later` bytes are set aside for its later reservations. Raises the errors of MemoryAccount.reserve.
    """
    account = current_memory.get()
    if account is not None:
        account.reserve(size, later)


def release_set_aside() -> None:
    """Release what the current request has set aside and no longer needs."""
    account = current_memory.get()
    if account is not None:
        size, set_aside = account.snapshot()
        account.restore(Reserved(size - set_aside, 0))


@contextmanager
def temporary_memory() -> Iterator[None]:
    """Release at the end of the block what the current request has reserved in it."""
    account = current_memory.get()
    before = None if account is None else account.snapshot()
    try:
        yield
    finally:
        if account is not None and before is not None:
            account.restore(before)
