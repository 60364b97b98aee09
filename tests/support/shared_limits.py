"""Clients of a store of rate limits, and what they count."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass

from adapters.rate_limits.redis import RedisRateLimits
from domain.budgets import Budget
from tests.support.waiting import PATIENCE

WINDOW = 60
AMOUNTS = {Budget.READS: 30, Budget.WRITES: 2, Budget.BUILD_REQUESTS: 1}
LONG = 15.0


@dataclass
class Counted:
    """What metrics would count: refused requests, and requests that were not counted because the store was away."""

    refused: int = 0
    away: int = 0

    def rate_limited(self, budget):
        self.refused += 1

    def rate_limit_store_unavailable(self):
        self.away += 1


@asynccontextmanager
async def sharing(redis, window=WINDOW, metrics=None, patience=LONG):
    """A client of the store."""
    limits = RedisRateLimits(redis.url, AMOUNTS, window, metrics or Counted(), patience=patience)
    try:
        yield limits
    finally:
        await limits.aclose()


async def spend(limits, tenant="somebody", budget=Budget.READS, amount=1):
    """Count requests of an organization."""
    return await limits.spend(tenant, budget, amount)


async def until(limits, wanted):
    """The first of many answers that meets the condition; earlier answers may be late or uncounted."""
    deadline = time.monotonic() + PATIENCE
    while True:
        spent = await spend(limits)
        if wanted(spent):
            return spent
        assert time.monotonic() < deadline, spent
        await asyncio.sleep(0.02)


async def said(lines):
    """Wait until an event is logged."""
    deadline = time.monotonic() + PATIENCE
    while not lines:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
