"""Counting requests of an organization, and telling operators of it."""

from __future__ import annotations

from typing import Protocol

from domain.budgets import Budget, Spent


class RateLimits(Protocol):
    """The budgets of all organizations. Called on the event loop, and never blocks it."""

    async def spend(self, tenant: str, budget: Budget) -> Spent | None:
        """Count a request if the tenant's budget allows it; None where nothing is limited, or nothing can be known."""

    async def aclose(self) -> None:
        """End what runs for it."""


class RateLimitMetrics(Protocol):
    """What operators want to know of rate limits."""

    def rate_limited(self, budget: str) -> None:
        """A request was refused."""

    def rate_limit_store_away(self) -> None:
        """A request passed uncounted, because the store that counts is away."""
