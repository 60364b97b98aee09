"""Budgets of rate limits: the requests that an organization may make within a short time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum


class Budget(Enum):
    """The kinds of requests, each with its own limit; the values are the names that callers see."""

    READS = "reads"
    WRITES = "writes"
    BUILD_REQUESTS = "build-requests"


@dataclass(frozen=True, slots=True)
class BudgetSpending:
    """The outcome of counting requests or builds against a budget of `limit` within any `window`.

    `admitted`: they were counted; otherwise they were refused. `remaining` is what the budget leaves afterwards, and
    `frees_in` the time until it leaves one more. `retry_in` is the time after which the refused ones will be admitted,
    together with the request that repeats them; None if they were admitted, or exceed the limit with that request.
    """

    admitted: bool
    limit: int
    window: timedelta
    remaining: int
    frees_in: timedelta
    retry_in: timedelta | None = None
