"""Rate limits over HTTP: which budget a request spends of, and the refusal when it is spent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from starlette.types import Scope

from domain.budgets import Budget, BudgetSpending
from domain.errors import ForbiddenError, RateLimitedError, UnauthenticatedError, UnavailableError
from image_builder.http.auth import Authenticate
from image_builder.http.call import NOTE, Note
from image_builder.http.rate_limits import RateLimit, whole_seconds
from ports.build_budget import current_build_budget
from ports.meter import Meter
from ports.rate_limits import RateLimits

_WORDS: Final = {
    Budget.READS: "requests",
    Budget.WRITES: "requests that change something",
    Budget.BUILD_REQUESTS: "requests to start builds",
}


# Seconds that a thread waits for the event loop to count.
_COUNTED_WITHIN: Final = 5.0


def budget_of(method: str, path: str) -> Budget:
    """What a request spends of; `path` may be a path or the template of one."""
    if method in {"GET", "HEAD", "OPTIONS"}:
        return Budget.READS
    return Budget.BUILD_REQUESTS if method == "POST" and path.endswith("/compose") else Budget.WRITES


class Limiter:
    """Lets requests through as long as their tenant's budget lasts.

    Only requests whose identity is known: without one there is nobody to count for. A budget of all strangers together
    would let one of them spend it for all, the gateway's address is the same for everybody, and a refusal for want of
    an identity costs little more than this one would.
    """

    def __init__(self, limits: RateLimits, authenticate: Authenticate, meter: Meter) -> None:
        self._limits = limits
        self._authenticate = authenticate
        self._meter = meter

    async def admit(self, note: Note, tenant: str, budget: Budget) -> None:
        """Count a request, and note what every answer to it says. Raises RateLimitedError when the budget is spent.

        A request that starts builds counts as one; it may count more of them by `ports.build_budget`.
        """
        spent = await self._spend(note, tenant, budget, 1)
        if spent is not None and not spent.admitted:
            raise _refusal(spent, budget)
        if spent is not None and budget is Budget.BUILD_REQUESTS:
            current_build_budget.set(_BuildBudget(self, note, tenant, asyncio.get_running_loop()))

    async def admit_builds(self, note: Note, tenant: str, builds: int) -> None:
        """Count what a request starts beyond its first build. Raises RateLimitedError when the budget is spent."""
        spent = await self._spend(note, tenant, Budget.BUILD_REQUESTS, builds - 1)
        if spent is not None and not spent.admitted:
            raise _refusal_of_builds(spent, builds)

    async def admit_stray(self, scope: Scope) -> None:
        """The same for a request that no operation was found for, which needs no identity."""
        try:
            identity = self._authenticate(scope["headers"])
        except (UnauthenticatedError, ForbiddenError):
            return
        note = scope[NOTE]
        note.tenant = identity.tenant
        await self.admit(note, identity.tenant, budget_of(scope["method"], scope["path"]))

    async def _spend(self, note: Note, tenant: str, budget: Budget, amount: int) -> BudgetSpending | None:
        spent = await self._limits.spend(tenant, budget, amount)
        if spent is not None:
            note.limits = (RateLimit(budget.value, spent.limit, spent.window, spent.remaining, spent.frees_in),)
            if not spent.admitted:
                self._meter.rate_limited(budget.value)
        return spent


@dataclass(frozen=True, slots=True)
class _BuildBudget:
    """Fulfils ports.build_budget.BuildBudget for one request, whose handler runs on a thread."""

    limiter: Limiter
    note: Note
    tenant: str
    loop: asyncio.AbstractEventLoop

    def spend(self, builds: int) -> None:
        """See the port. Raises UnavailableError where the event loop does not get to it, as when the service ends."""
        if builds <= 1:
            return
        counting = asyncio.run_coroutine_threadsafe(
            self.limiter.admit_builds(self.note, self.tenant, builds), self.loop
        )
        try:
            counting.result(_COUNTED_WITHIN)
        except TimeoutError:
            counting.cancel()
            raise UnavailableError("The builds could not be counted") from None


def _refusal(spent: BudgetSpending, budget: Budget) -> RateLimitedError:
    seconds = max(1, whole_seconds(spent.frees_in))
    window = whole_seconds(spent.window)
    return RateLimitedError(
        f"Too many requests: this organization may make {spent.limit} {_WORDS[budget]} in {window} seconds. "
        f"Try again in {_seconds(seconds)}",
        retry_after=seconds,
    )


def _refusal_of_builds(spent: BudgetSpending, builds: int) -> RateLimitedError:
    window = whole_seconds(spent.window)
    if spent.retry_in is None:  # not even a window of their own would do
        seconds, advice = window, "Choose fewer of them with image_types"
    else:
        seconds = max(1, whole_seconds(spent.retry_in))
        advice = f"Try again in {_seconds(seconds)}"
    return RateLimitedError(
        f"Too many images: the request starts {builds} builds, and this organization may start {spent.limit} in "
        f"{window} seconds, of which {spent.remaining + 1} were left. {advice}",
        retry_after=seconds,
    )


def _seconds(number: int) -> str:
    return f"{number} {'second' if number == 1 else 'seconds'}"
