"""Budgets of rate limits: the requests that an organization may make within a short time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from domain.blueprints.composing import MAX_IMAGES


class Budget(Enum):
    """The kinds of requests, each with its own limit; the values are the names that callers see."""

    READS = "reads"
    WRITES = "writes"
    BUILD_REQUESTS = "build-requests"


def share_budget(budget: Budget, limit: int, processes: int) -> int:
    """The part of a limit that each of several processes admits, each of which counts only its own requests.

    A client with one connection, whose requests all reach the same process, has no more than this part. It allows the
    builds of the largest blueprint if the whole limit does, because they are started by one request.
    """
    share = -(-limit // processes)
    return max(share, MAX_IMAGES) if budget is Budget.BUILD_REQUESTS and limit >= MAX_IMAGES else share


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
