"""The memory account of a request, in a test without a request."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ports.memory import Reserved, current_memory


@dataclass(slots=True)
class RecordedMemory:
    """Implements ports.memory.MemoryAccount: how many bytes are `reserved`, without those `set_aside`.

    Raises MemoryError beyond `limit`.
    """

    reserved: int = 0
    set_aside: int = 0
    limit: float = math.inf
    before_reserving: Callable[[], None] = field(default=lambda: None)

    @property
    def size(self) -> int:
        return self.reserved

    def snapshot(self) -> Reserved:
        return Reserved(self.reserved + self.set_aside, self.set_aside)

    def reserve(self, size: int, later: int = 0) -> None:
        self.before_reserving()
        self.reserved += size
        self.set_aside = max(self.set_aside - size, later)
        if self.reserved > self.limit:
            raise MemoryError

    def restore(self, reserved: Reserved) -> None:
        self.reserved, self.set_aside = reserved.size - reserved.set_aside, reserved.set_aside


@contextmanager
def recorded_memory() -> Iterator[RecordedMemory]:
    """The account of all memory that this context reserves in the block."""
    account = RecordedMemory()
    token = current_memory.set(account)
    try:
        yield account
    finally:
        current_memory.reset(token)
