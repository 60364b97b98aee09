"""Rate limits that one process keeps for itself."""

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


class MemoryLimits:
    """Fulfils ports.rate_limits.RateLimits: at most so many requests in any window, exactly, and 7 us each.

    Everything happens on the caller's thread, which has to be one and the same.
    """

    def __init__(self, amounts: Mapping[Budget, int], window: int, clock: Clock = time.monotonic) -> None:
        """`amounts` are what each budget allows within any `window` of seconds."""
        self._clock = clock
        self._window = timedelta(seconds=window)
        self._items = {budget: RateLimitItemPerSecond(amount, window) for budget, amount in amounts.items()}
        self._memory = PromptMemory(clock)
        self._limiter = MovingWindowRateLimiter(self._memory)

    async def spend(self, tenant: str, budget: Budget, amount: int = 1) -> BudgetSpending | None:
        """See the port."""
        item = self._items[budget]
        admitted = self._limiter.hit(item, budget.value, tenant, cost=amount)
        frees_at, remaining = self._limiter.get_window_stats(item, budget.value, tenant)
        retry_in = None
        if not admitted and amount + 1 <= item.amount:
            # So many of the oldest have to leave the window first; the next request counts, too.
            leaving = amount + 1 - remaining
            moment = self._memory.moment(item.key_for(budget.value, tenant), leaving)
            retry_in = self._until(moment + item.get_expiry())
        return BudgetSpending(admitted, item.amount, self._window, remaining, self._until(frees_at), retry_in)

    def _until(self, moment: float) -> timedelta:
        return timedelta(seconds=max(0.0, moment - self._clock()))

    async def aclose(self) -> None:
        """Nothing runs."""


class PromptMemory(MemoryStorage):
    """The memory of `limits`, but for moving windows that forget as they go, and for a clock of one's choice.

    The library's own starts a thread every 10 ms while it is used, which copies all windows of all keys: with 3,000
    tenants of 100 requests each it costs 2 ms of CPU a request. Here a window forgets what left it when it is used, and
    those that nobody uses any more are forgotten by the requests of others. All windows have to be equally long.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        # Oldest moment first; the window that was added to last is the last.
        self._windows: dict[str, deque[float]] = {}

    def __len__(self) -> int:
        """How many windows are remembered."""
        return len(self._windows)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add `amount` to the window unless that makes it more than `limit`."""
        now = self._clock()
        self._forget(now - expiry)
        window = self._current(key, now - expiry)
        if len(window) + amount > limit:
            return False
        window.extend([now] * amount)
        self._windows.pop(key, None)
        self._windows[key] = window
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - the library's
        """The moment of the oldest in the window, and how many there are."""
        now = self._clock()
        window = self._current(key, now - expiry)
        return (window[0], len(window)) if window else (now, 0)

    def moment(self, key: str, number: int) -> float:
        """The moment of the `number`th of those in a window, of which the oldest is the first."""
        return self._windows[key][number - 1]

    def _current(self, key: str, left: float) -> deque[float]:
        window = self._windows.get(key, deque())
        while window and window[0] <= left:
            window.popleft()
        return window

    def _forget(self, left: float) -> None:
        # Two for each that may come: they get fewer however many there are.
        for _ in range(2):
            key = next(iter(self._windows), None)
            if key is None or (self._windows[key] and self._windows[key][-1] > left):
                return
            del self._windows[key]
