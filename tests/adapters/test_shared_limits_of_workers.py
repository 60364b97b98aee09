"""What only rate limits in shared memory have: parts of a window, several processes, a fixed number of records.

`test_memory_limits.py` has the tests of all rate limits in memory.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import deque
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.rate_limits.shared import RateLimitMemory, SharedRateLimits
from domain.budgets import Budget, BudgetSpending
from tests.support.clock import Clock

WINDOW = 60
AMOUNTS = {Budget.READS: 3, Budget.WRITES: 2, Budget.BUILD_REQUESTS: 1}


@pytest.fixture
def memory() -> Iterator[RateLimitMemory]:
    with RateLimitMemory() as memory:
        yield memory


@pytest.fixture
def limits(memory: RateLimitMemory, clock: Clock) -> SharedRateLimits:
    return SharedRateLimits(memory, AMOUNTS, WINDOW, clock)


def spend(
    limits: SharedRateLimits, tenant: str = "tenant", budget: Budget = Budget.READS, amount: int = 1
) -> BudgetSpending:
    spending = asyncio.run(limits.spend(tenant, budget, amount))
    assert spending is not None
    return spending


def test_any_text_is_an_organization(limits: SharedRateLimits) -> None:
    assert spend(limits, "\ud800").remaining == 2
    assert spend(limits, "\ud801").remaining == 2
    assert spend(limits, "").remaining == 2


@given(seed=st.integers(), limit=st.integers(1, 20))
def test_as_many_requests_pass_as_in_an_exact_window_give_or_take_a_sixtieth(seed: int, limit: int) -> None:
    chance, clock = random.Random(seed), Clock()  # noqa: S311 - a test's
    with RateLimitMemory() as memory:
        limits = SharedRateLimits(memory, {Budget.READS: limit}, WINDOW, clock)
        admitted: deque[float] = deque()
        for _ in range(100):
            clock.now += chance.choice([0, 0.3, 1.7, 20, 200])
            spending = spend(limits)
            within = [sum(each > clock.now - length for each in admitted) for length in (WINDOW - 1, WINDOW)]
            if spending.admitted:
                assert within[0] < limit
                admitted.append(clock.now)
            else:
                assert within[1] >= limit
            assert timedelta(0) <= spending.frees_in <= timedelta(seconds=WINDOW)


def test_processes_that_count_at_the_same_time_admit_the_limit_together(memory: RateLimitMemory) -> None:
    limits = SharedRateLimits(memory, {Budget.READS: 1000}, 3600)
    children = [_count_in_child(limits) for _ in range(4)]
    assert sum(int(os.read(result, 100)) for _, result in children) == 1000
    for child, result in children:
        os.waitpid(child, 0)
        os.close(result)


def test_a_process_that_is_killed_while_it_counts_stops_no_other(memory: RateLimitMemory) -> None:
    limits = SharedRateLimits(memory, {Budget.READS: 1000}, 3600)
    child = os.fork()
    if not child:
        with memory.record("reads/tenant", 1):
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert spend(limits).admitted


def test_the_memory_has_room_for_many_organizations(limits: SharedRateLimits) -> None:
    names = [f"organization {number}" for number in range(3000)]
    for name in names:
        spend(limits, name)
    forgotten = sum(spend(limits, name).remaining == 2 for name in names)
    assert forgotten < len(names) / 100


def _count_in_child(limits: SharedRateLimits) -> tuple[int, int]:
    """Spend 500 times in another process; returns its id, and a pipe with the number that was admitted."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        number = sum(spend(limits).admitted for _ in range(500))
        os.write(writing, str(number).encode())
        os._exit(0)
    os.close(writing)
    return child, reading
