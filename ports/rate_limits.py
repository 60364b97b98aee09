"""The port of the storage of rate limits (docs/rate-limits.md)."""

from __future__ import annotations

from typing import Protocol

from domain.budgets import Budget, BudgetSpending


class RateLimits(Protocol):
    """The budgets of all organizations. Methods are called on the event loop, and do not block it."""

    async def spend(self, tenant: str, budget: Budget, amount: int = 1) -> BudgetSpending | None:
        """Count `amount` requests if the tenant's budget allows all of them, otherwise none.

        Returns None if the budget is not limited, or the storage is unavailable.
        """

    async def aclose(self) -> None:
        """Close connections and end background tasks."""
