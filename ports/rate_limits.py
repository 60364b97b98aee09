"""Counting requests of an organization, and telling operators of it."""

from __future__ import annotations

from typing import Protocol

from domain.budgets import Budget, Spent


class RateLimits(Protocol):
    """The budgets of all organizations. Called on the event loop, and never blocks it."""

    async def spend(self, tenant: str, budget: Budget, amount: int = 1) -> Spent | None:
        """Count `amount` requests if the tenant's budget allows all of them, else none.

        Returns None where nothing is limited, or nothing can be known.
        """

    async def aclose(self) -> None:
        """End what runs for it."""
