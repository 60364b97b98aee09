"""Reservations of memory for the current request.

Code that is about to hold large data for a request (its body, a stored document, an answer) reserves the bytes first.
The account of the request releases all reservations when the request has ended.

Work on another thread needs the context of the request (`contextvars.copy_context().run`).
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class MemoryAccount(Protocol):
    """The memory reservations of one request."""

    @property
    def size(self) -> int:
        """The number of reserved bytes."""

    def reserve(self, size: int) -> None:
        """Reserve `size` more bytes; blocks the calling thread while other requests use too much memory.

        Raises UnavailableError when the memory is not available in time, and InvalidRequestError where the total
        exceeds the limit of one request.
        """


# None outside a request: periodic tasks and commands limit their memory themselves.
current_memory: ContextVar[MemoryAccount | None] = ContextVar("current_memory", default=None)


def reserved_memory() -> int:
    """The number of bytes that are reserved for the current request; 0 outside a request."""
    account = current_memory.get()
    return 0 if account is None else account.size


def require_memory(size: int) -> None:
    """Increase the reservation of the current request to `size` bytes.

    Raises the errors of MemoryAccount.reserve.
    """
    reserve_memory(max(size - reserved_memory(), 0))


def reserve_memory(size: int) -> None:
    """Reserve `size` more bytes for the current request; does nothing outside a request.

    Raises the errors of MemoryAccount.reserve.
    """
    account = current_memory.get()
    if account is not None:
        account.reserve(size)
