"""Counters of requests: in the process' own memory, or in a Redis or Valkey that several share."""

from __future__ import annotations

from domain.budgets import Budget, BudgetSpending


class NoLimits:
    """Fulfils ports.rate_limits.RateLimits where nothing is limited."""

    async def spend(self, _tenant: str, _budget: Budget, _amount: int = 1) -> BudgetSpending | None:
        """Let it pass."""
        return None

    async def aclose(self) -> None:
        """Nothing runs."""
