"""The builds that the organization of the request at hand may start within a window of time.

The rate limit counts a request that starts builds as one build when it comes in. A request that starts several counts
them here, before it reserves or submits anything.

A thread that is handed a part of the work takes the budget along with the context it runs in
(`contextvars.copy_context().run`).
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class BuildBudget(Protocol):
    """The budget of one request's organization."""

    def spend(self, builds: int) -> None:
        """Count that the request starts so many builds in all; blocks the calling thread for a moment.

        Raises RateLimitedError where the budget does not suffice: then none of them is counted but for the first.
        """


# None where nothing is limited.
current_build_budget: ContextVar[BuildBudget | None] = ContextVar("current_build_budget", default=None)


def spend_builds(builds: int) -> None:
    """Count that the request at hand starts so many builds in all. Raises RateLimitedError."""
    budget = current_build_budget.get()
    if budget is not None:
        budget.spend(builds)
