"""Rate limits over HTTP: which budget a request spends of, and the refusal when it is spent."""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

from domain.budgets import Budget, Spent
from domain.errors import ForbiddenError, UnauthenticatedError
from image_builder.http.auth import Authenticate
from image_builder.http.call import NOTE, Note
from image_builder.http.errors import HttpError
from image_builder.http.rate_limits import RateLimit, whole_seconds
from ports.meter import Meter
from ports.rate_limits import RateLimits

_WORDS: Final = {
    Budget.READS: "requests",
    Budget.WRITES: "requests that change something",
    Budget.BUILD_REQUESTS: "requests to start builds",
}


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
        """Count a request, and note what every answer to it says. Raises HttpError 429 when the budget is spent."""
        spent = await self._limits.spend(tenant, budget)
        if spent is None:
            return
        note.limits = (RateLimit(budget.value, spent.limit, spent.window, spent.remaining, spent.frees_in),)
        if not spent.admitted:
            self._meter.rate_limited(budget.value)
            raise _refusal(spent, budget)

    async def admit_stray(self, scope: Scope) -> None:
        """The same for a request that no operation was found for, which needs no identity."""
        try:
            identity = self._authenticate(scope["headers"])
        except (UnauthenticatedError, ForbiddenError):
            return
        note = scope[NOTE]
        note.tenant = identity.tenant
        await self.admit(note, identity.tenant, budget_of(scope["method"], scope["path"]))


def _refusal(spent: Spent, budget: Budget) -> HttpError:
    seconds = max(1, whole_seconds(spent.frees_in))
    window = whole_seconds(spent.window)
    return HttpError(
        429,
        f"Too many requests: this organization may make {spent.limit} {_WORDS[budget]} in {window} seconds. "
        f"Try again in {seconds} {'second' if seconds == 1 else 'seconds'}",
        {"Retry-After": str(seconds)},
    )
