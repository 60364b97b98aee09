"""Rate limits counted in the memory of one process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from domain.budgets import Budget, BudgetSpending

Clock = Callable[[], float]


class InMemoryRateLimits:
    """Exact sliding windows; a call takes 7 us. Implements ports.rate_limits.RateLimits.

    All calls must come from the same thread.
    """

    def __init__(self, amounts: Mapping[Budget, int], window: int, clock: Clock = time.monotonic) -> None:
        """`amounts` is the number of requests that each budget allows within any `window` seconds."""
        self._clock = clock
        self._window = timedelta(seconds=window)
        self._items = {budget: RateLimitItemPerSecond(amount, window) for budget, amount in amounts.items()}
        self._memory = MovingWindowStorage(clock)
        self._limiter = MovingWindowRateLimiter(self._memory)

    async def spend(self, tenant: str, budget: Budget, amount: int = 1) -> BudgetSpending | None:
        """Implements `RateLimits.spend`."""
        item = self._items[budget]
        admitted = self._limiter.hit(item, budget.value, tenant, cost=amount)
        frees_at, remaining = self._limiter.get_window_stats(item, budget.value, tenant)
        retry_in = None
        if not admitted and amount + 1 <= item.amount:
            # A retry counts as one request, and then again as `amount`. Entries may have expired since the refusal.
            to_expire = amount + 1 - remaining
            retry_in = timedelta(0)
            if to_expire > 0:
                last = self._memory.entry_time(item.key_for(budget.value, tenant), to_expire)
                retry_in = self._until(last + item.get_expiry())
        return BudgetSpending(admitted, item.amount, self._window, remaining, self._until(frees_at), retry_in)

    def _until(self, moment: float) -> timedelta:
        return timedelta(seconds=max(0.0, moment - self._clock()))

    async def aclose(self) -> None:
        """Implements `RateLimits.aclose`."""


class MovingWindowStorage(MemoryStorage):
    """Moving windows for the library `limits`, without its background thread, and with a clock as an argument.

    The library's own memory storage starts a thread every 10 ms while it is used, which copies all windows of all keys:
    with 3,000 tenants of 100 requests each it costs 2 ms of CPU per request. Here expired entries of a window are
    removed when it is used, and each request removes up to two windows that are no longer used. All windows must be
    equally long.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        # Times of the entries, oldest first. The windows are in the order of their newest entry.
        self._windows: dict[str, deque[float]] = {}

    def __len__(self) -> int:
        """The number of windows in memory."""
        return len(self._windows)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add `amount` entries to the window if it then has at most `limit`; returns whether they were added."""
        now = self._clock()
        self._remove_unused(now - expiry)
        window = self._current(key, now - expiry)
        if len(window) + amount > limit:
            return False
        window.extend([now] * amount)
        self._windows.pop(key, None)
        self._windows[key] = window
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - an argument of the library
        """The time of the oldest entry in the window, and the number of entries."""
        now = self._clock()
        window = self._current(key, now - expiry)
        return (window[0], len(window)) if window else (now, 0)

    def entry_time(self, key: str, number: int) -> float:
        """The time of an entry in a window; the oldest entry has the number 1."""
        return self._windows[key][number - 1]

    def _current(self, key: str, expired: float) -> deque[float]:
        window = self._windows.get(key, deque())
        while window and window[0] <= expired:
            window.popleft()
        return window

    def _remove_unused(self, expired: float) -> None:
        # Two per request, which can add one: so the number of unused windows decreases.
        for _ in range(2):
            key = next(iter(self._windows), None)
            if key is None or (self._windows[key] and self._windows[key][-1] > expired):
                return
            del self._windows[key]
