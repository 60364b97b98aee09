"""The rate limit of builds, as the request that starts them sees it (docs/rate-limits.md).

When a request that starts builds arrives, the rate limit counts it as one build. A request that starts several builds
counts the others here, before it reserves or submits anything.

Work on another thread needs the context of the request (`contextvars.copy_context().run`).
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class BuildBudget(Protocol):
    """The budget of builds of the current request's organization."""

    def spend(self, builds: int) -> None:
        """Count the request as `builds` builds in total; blocks the calling thread for up to the storage's time limit.

        Raises RateLimitedError if the budget does not suffice: then only the first build stays counted.
        """


# None if builds are not limited.
current_build_budget: ContextVar[BuildBudget | None] = ContextVar("current_build_budget", default=None)


def spend_builds(builds: int) -> None:
    """Count the current request as `builds` builds in total. Raises RateLimitedError."""
    budget = current_build_budget.get()
    if budget is not None:
        budget.spend(builds)
