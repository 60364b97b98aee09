"""Applies rate limits: counts each request towards a budget of its organization, and refuses it if that is used up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from starlette.types import Scope

from domain.budgets import Budget, BudgetSpending
from domain.errors import ForbiddenError, RateLimitedError, UnauthenticatedError, UnavailableError
from image_builder.http.auth import Authenticate
from image_builder.http.call import REQUEST_RECORD, RequestRecord
from image_builder.http.rate_limits import RateLimit, whole_seconds
from ports.build_budget import current_build_budget
from ports.meter import Meter
from ports.rate_limits import RateLimits

# The budgets as the texts of errors name them.
_BUDGET_NAMES: Final = {
    Budget.READS: "requests",
    Budget.WRITES: "requests that change something",
    Budget.BUILD_REQUESTS: "requests to start builds",
}

# Seconds that a handler waits on its thread until the event loop has counted builds.
_COUNT_TIMEOUT: Final = 5.0


def choose_budget(method: str, path: str) -> Budget:
    """Return the budget that a request counts towards; `path` is a path or a path template."""
    if method in {"GET", "HEAD", "OPTIONS"}:
        return Budget.READS
    return Budget.BUILD_REQUESTS if method == "POST" and path.endswith(("/compose", "/rerun")) else Budget.WRITES


class Limiter:
    """Counts requests, and refuses those of a tenant whose budget is used up.

    Requests without a valid identity are not counted. Their organization is unknown, the gateway's address is the same
    for all clients, and one client could use up a budget that all share. To answer 401 costs little more than to count.
    """

    def __init__(self, limits: RateLimits, authenticate: Authenticate, meter: Meter) -> None:
        self._limits = limits
        self._authenticate = authenticate
        self._meter = meter

    async def admit(self, record: RequestRecord, tenant: str, budget: Budget) -> None:
        """Count a request, and record the limits that the RateLimit headers of its answer report.

        A request that starts builds counts as one build; its use case counts further ones through `ports.build_budget`.
        Raises RateLimitedError when the budget is used up.
        """
        spent = await self._spend(record, tenant, budget, 1)
        if spent is not None and not spent.admitted:
            raise _rate_limit_error(spent, budget)
        if spent is not None and budget is Budget.BUILD_REQUESTS:
            current_build_budget.set(_BuildBudget(self, record, tenant, asyncio.get_running_loop()))

    async def admit_builds(self, record: RequestRecord, tenant: str, builds: int) -> None:
        """Count all builds of a request but the first. Raises RateLimitedError when the budget is used up."""
        spent = await self._spend(record, tenant, Budget.BUILD_REQUESTS, builds - 1)
        if spent is not None and not spent.admitted:
            raise _build_limit_error(spent, builds)

    async def admit_unrouted(self, scope: Scope) -> None:
        """Count a request that matches no operation, if it has a valid identity. Raises RateLimitedError."""
        try:
            identity = self._authenticate(scope["headers"])
        except (UnauthenticatedError, ForbiddenError):
            return
        record = scope[REQUEST_RECORD]
        record.tenant = identity.tenant
        await self.admit(record, identity.tenant, choose_budget(scope["method"], scope["path"]))

    async def _spend(self, record: RequestRecord, tenant: str, budget: Budget, amount: int) -> BudgetSpending | None:
        spent = await self._limits.spend(tenant, budget, amount)
        if spent is not None:
            record.limits = (RateLimit(budget.value, spent.limit, spent.window, spent.remaining, spent.frees_in),)
            if not spent.admitted:
                self._meter.rate_limited(budget.value)
        return spent


@dataclass(frozen=True, slots=True)
class _BuildBudget:
    """Implements ports.build_budget.BuildBudget for one request, whose handler runs on a thread."""

    limiter: Limiter
    record: RequestRecord
    tenant: str
    loop: asyncio.AbstractEventLoop

    def spend(self, builds: int) -> None:
        """Implements `BuildBudget.spend`.

        Raises UnavailableError if the event loop does not count in time, for instance at shutdown.
        """
        if builds <= 1:
            return
        counting = asyncio.run_coroutine_threadsafe(
            self.limiter.admit_builds(self.record, self.tenant, builds), self.loop
        )
        try:
            counting.result(_COUNT_TIMEOUT)
        except TimeoutError:
            counting.cancel()
            raise UnavailableError("The builds could not be counted") from None


def _rate_limit_error(spent: BudgetSpending, budget: Budget) -> RateLimitedError:
    seconds = max(1, whole_seconds(spent.frees_in))
    window = whole_seconds(spent.window)
    return RateLimitedError(
        f"Too many requests: this organization may make {spent.limit} {_BUDGET_NAMES[budget]} in {window} seconds. "
        f"Try again in {_format_seconds(seconds)}",
        retry_after=seconds,
    )


def _build_limit_error(spent: BudgetSpending, builds: int) -> RateLimitedError:
    window = whole_seconds(spent.window)
    if spent.retry_in is None:  # more builds than a whole window allows
        seconds, advice = window, "Choose fewer of them with image_types"
    else:
        seconds = max(1, whole_seconds(spent.retry_in))
        advice = f"Try again in {_format_seconds(seconds)}"
    return RateLimitedError(
        f"Too many images: the request starts {builds} builds, and this organization may start {spent.limit} in "
        f"{window} seconds, of which {spent.remaining + 1} were left. {advice}",
        retry_after=seconds,
    )


def _format_seconds(number: int) -> str:
    return f"{number} {'second' if number == 1 else 'seconds'}"
