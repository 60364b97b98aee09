"""Memory that the request at hand may use.

Code that is about to hold something large for a request (its body, a stored document, an answer) reserves the bytes
first. The account of the request releases all of them when the request has ended.

Two requests that each hold memory and wait for more would wait for each other. Code that knows it will need more later
therefore reserves that at the same time, as `later`: further reservations of the request are taken from it first.

A thread that is handed a part of the work takes the account along with the context it runs in
(`contextvars.copy_context().run`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, Protocol


class Reserved(NamedTuple):
    """The bytes that a request has reserved: all of them, and those set aside for later reservations."""

    size: int
    set_aside: int


class MemoryAccount(Protocol):
    """The reservations of one request."""

    @property
    def size(self) -> int:
        """The bytes that are reserved for it, without those set aside."""

    def snapshot(self) -> Reserved:
        """What is reserved for it now."""

    def reserve(self, size: int, later: int = 0) -> None:
        """Reserve `size` more bytes; blocks the calling thread while other requests use too much.

        `later` bytes, or as many as one request may have, are set aside besides.

        Raises UnavailableError when the memory is not available in time, and InvalidRequestError when one request may
        never have so much.
        """

    def restore(self, reserved: Reserved) -> None:
        """Release what has been reserved since then."""


# None outside a request: periodic tasks and commands bound what they hold by themselves.
current_memory: ContextVar[MemoryAccount | None] = ContextVar("current_memory", default=None)


def reserved_memory() -> int:
    """The bytes that are reserved for the request at hand, without those set aside; 0 outside a request."""
    account = current_memory.get()
    return 0 if account is None else account.size


def require_memory(size: int) -> None:
    """Reserve what is missing to `size` bytes in all for the request at hand. Raises as MemoryAccount."""
    reserve_memory(max(size - reserved_memory(), 0))


def reserve_memory(size: int, later: int = 0) -> None:
    """Reserve `size` more bytes for the request at hand; does nothing outside a request.

    `later` bytes are set aside for its later reservations. Raises as MemoryAccount.
    """
    account = current_memory.get()
    if account is not None:
        account.reserve(size, later)


def release_set_aside() -> None:
    """Release what the request at hand has set aside and needs no more."""
    account = current_memory.get()
    if account is not None:
        size, set_aside = account.snapshot()
        account.restore(Reserved(size - set_aside, 0))


@contextmanager
def temporary_memory() -> Iterator[None]:
    """What the request at hand reserves in the block is released at its end."""
    account = current_memory.get()
    before = None if account is None else account.snapshot()
    try:
        yield
    finally:
        if account is not None and before is not None:
            account.restore(before)
