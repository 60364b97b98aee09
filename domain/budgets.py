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

    `admitted`: they were counted; otherwise they were refused. `remaining` is the number that is left
    afterwards, `frees_in` the time until one more is left. `retry_in` is the time after which a repetition of the
    refused ones will be admitted, including the request that repeats them; None if they were admitted, or if they would
    always exceed the limit.
    """

    admitted: bool
    limit: int
    window: timedelta
    remaining: int
    frees_in: timedelta
    retry_in: timedelta | None = None
