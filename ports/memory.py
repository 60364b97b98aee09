"""Memory that the request at hand may use.

Code that is about to hold something large for a request (its body, a stored document, an answer) reserves the bytes
first. The account of the request releases all of them when the request has ended.

A thread that is handed a part of the work takes the account along with the context it runs in
(`contextvars.copy_context().run`).
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class MemoryAccount(Protocol):
    """The reservations of one request."""

    @property
    def size(self) -> int:
        """The bytes that are reserved for it."""

    def reserve(self, size: int) -> None:
        """Reserve `size` more bytes; blocks the calling thread while other requests use too much.

        Raises UnavailableError when the memory is not available in time, and InvalidRequestError when one request may
        never have so much.
        """


# None outside a request: periodic tasks and commands bound what they hold by themselves.
current_memory: ContextVar[MemoryAccount | None] = ContextVar("current_memory", default=None)


def reserved_memory() -> int:
    """The bytes that are reserved for the request at hand; 0 outside a request."""
    account = current_memory.get()
    return 0 if account is None else account.size


def require_memory(size: int) -> None:
    """Reserve what is missing to `size` bytes in all for the request at hand. Raises as MemoryAccount."""
    reserve_memory(max(size - reserved_memory(), 0))


def reserve_memory(size: int) -> None:
    """Reserve `size` more bytes for the request at hand; does nothing outside a request. Raises as MemoryAccount."""
    account = current_memory.get()
    if account is not None:
        account.reserve(size)
