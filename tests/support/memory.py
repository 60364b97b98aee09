"""The memory of the request at hand, in a test that is no request."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ports.memory import current_memory


@dataclass(slots=True)
class RecordedMemory:
    """Fulfils ports.memory.MemoryAccount: how many bytes are `reserved`, raises MemoryError beyond `limit`."""

    reserved: int = 0
    limit: float = math.inf
    before_reserving: Callable[[], None] = field(default=lambda: None)

    @property
    def size(self) -> int:
        return self.reserved

    def reserve(self, size: int) -> None:
        self.before_reserving()
        self.reserved += size
        if self.reserved > self.limit:
            raise MemoryError


@contextmanager
def recorded_memory() -> Iterator[RecordedMemory]:
    """The account of all that this context reserves in the block."""
    account = RecordedMemory()
    token = current_memory.set(account)
    try:
        yield account
    finally:
        current_memory.reset(token)
