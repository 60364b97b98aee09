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
