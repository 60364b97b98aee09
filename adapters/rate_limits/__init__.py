"""Rate limits, counted in the memory of a process, in memory that workers share, or in a Redis or Valkey server."""

from __future__ import annotations

from domain.budgets import Budget, BudgetSpending


class UnlimitedRequests:
    """No rate limits. Implements ports.rate_limits.RateLimits."""

    async def spend(self, _tenant: str, _budget: Budget, _amount: int = 1) -> BudgetSpending | None:
        """Implements `RateLimits.spend`: None, because nothing is counted."""
        return None

    async def aclose(self) -> None:
        """Implements `RateLimits.aclose`: there is nothing to close."""
