"""Rate limits that all worker processes of a pod count together, in shared memory."""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from hashlib import blake2b
from typing import Final, Self

from domain.budgets import Budget, BudgetSpending

# The number of parts of a window. A part ends to count one window after its beginning. So a request counts for at most
# one window, and for at least 59 sixtieths of it.
_PARTS: Final = 60
# The words (64 bits) of a record: its key, the number of its newest part, and the count of each part.
_KEY, _NEWEST, _FIRST = range(3)
_WORDS: Final = _FIRST + _PARTS
# A key has its record in one of these rows of records. Memory that was never written takes none of the machine's.
_ROW: Final = 8
_ROWS: Final = 2048


class RateLimitMemory:
    """The records of all budgets, and a lock that ends with the process that holds it.

    Forked processes share it; the process that creates it uses it as a context manager. A record belongs to one budget
    of one organization. If more than eight fall into one row, the one that was used longest ago is forgotten.
    """

    def __init__(self) -> None:
        """Raises OSError if the system refuses the memory."""
        self._lock = os.memfd_create("rate limits")
        self._memory = mmap.mmap(-1, _ROWS * _ROW * _WORDS * 8)
        self._words = memoryview(self._memory).cast("Q")
        self._secret = os.urandom(16)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)
        self._words.release()
        self._memory.close()

    @contextmanager
    def record(self, name: str, part: int) -> Iterator[memoryview]:
        """Lock the memory, and yield the counts of the record `name`: that of each part at its number modulo 60.

        `part` is the number of the present part. Counts of parts that began more than a window ago are zero.
        """
        digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, key=self._secret).digest()
        key = int.from_bytes(digest, "big") or 1
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            start = self._find(key)
            counts = self._words[start + _FIRST : start + _WORDS]
            newest = self._words[start + _NEWEST]
            for number in range(max(newest, part - _PARTS) + 1, part + 1):
                counts[number % _PARTS] = 0
            self._words[start + _NEWEST] = max(newest, part)
            yield counts
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def _find(self, key: int) -> int:
        """Return the place of the record with this key: its own, or the one of its row that was used longest ago."""
        words = self._words
        row = (key % _ROWS) * _ROW * _WORDS
        places = range(row, row + _ROW * _WORDS, _WORDS)
        for place in places:
            if words[place + _KEY] == key:
                return place
        oldest = min(places, key=lambda place: words[place + _NEWEST])
        # In this order, so that a process that is killed in between leaves a record that no key finds.
        words[oldest + _KEY] = 0
        words[oldest + _NEWEST] = 0
        words[oldest + _KEY] = key
        return oldest


class SharedRateLimits:
    """Counts in memory that the workers of a pod share. Implements ports.rate_limits.RateLimits."""

    def __init__(
        self,
        memory: RateLimitMemory,
        limits: Mapping[Budget, int],
        window_seconds: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`limits` is the number of requests that each budget allows within any `window_seconds` seconds.

        `clock` must be the same for all processes, as that of the system is.
        """
        self._memory = memory
        self._limits = limits
        self._window = timedelta(seconds=window_seconds)
        self._part_seconds = window_seconds / _PARTS
        self._clock = clock

    async def spend(self, tenant: str, budget: Budget, amount: int = 1) -> BudgetSpending | None:
        """Implements `RateLimits.spend`."""
        limit = self._limits[budget]
        now = self._clock()
        part = int(now / self._part_seconds)
        with self._memory.record(f"{budget.value}/{tenant}", part) as counts:
            used = sum(counts)
            admitted = used + amount <= limit
            if admitted:
                counts[part % _PARTS] += amount
                used += amount
            in_order = [(number, counts[number % _PARTS]) for number in range(part - _PARTS + 1, part + 1)]
        remaining = limit - used
        retry_in = None
        if not admitted and amount + 1 <= limit:
            # A retry counts as one request, and then again as `amount`.
            retry_in = self._free_in(in_order, amount + 1 - remaining, now)
        return BudgetSpending(admitted, limit, self._window, remaining, self._free_in(in_order, 1, now), retry_in)

    def _free_in(self, counts: list[tuple[int, int]], wanted: int, now: float) -> timedelta:
        """The time until this many counted requests count no more; a window if so many are not counted."""
        for number, count in counts:
            wanted -= count
            if wanted <= 0:
                return timedelta(seconds=max(0.0, (number + _PARTS) * self._part_seconds - now))
        return self._window

    async def aclose(self) -> None:
        """Implements `RateLimits.aclose`: the memory ends with its processes."""
