"""Rate limits in memory that processes share, with a clock that tests control."""

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


def test_requests_within_the_budget_pass_with_the_remaining_budget(limits: SharedRateLimits) -> None:
    spent = [spend(limits) for _ in range(4)]
    assert [(each.admitted, each.remaining) for each in spent] == [(True, 2), (True, 1), (True, 0), (False, 0)]
    assert (spent[0].limit, spent[0].window) == (3, timedelta(seconds=WINDOW))


def test_one_more_request_passes_when_the_oldest_leaves_the_window_and_not_before(
    limits: SharedRateLimits, clock: Clock
) -> None:
    for clock.now in (1000.0, 1010.0, 1020.0):
        spend(limits)
    clock.now = 1059.0
    assert spend(limits).frees_in == timedelta(seconds=1)
    clock.now = 1059.999
    assert not spend(limits).admitted
    clock.now = 1060.0
    assert spend(limits).admitted
    assert not spend(limits).admitted


def test_the_time_to_retry_leaves_room_for_the_request_and_the_refused_amount(
    limits: SharedRateLimits, clock: Clock
) -> None:
    for clock.now in (1000.0, 1010.0, 1020.0):
        spend(limits)
    refused = spend(limits, amount=1)
    assert (refused.frees_in, refused.retry_in) == (timedelta(seconds=40), timedelta(seconds=50))
    assert spend(limits, amount=2).retry_in == timedelta(seconds=60)
    assert spend(limits, amount=3).retry_in is None


def test_organizations_and_budgets_are_counted_separately(limits: SharedRateLimits) -> None:
    assert spend(limits, budget=Budget.BUILD_REQUESTS).admitted
    assert spend(limits, "another", Budget.BUILD_REQUESTS).admitted
    assert not spend(limits, budget=Budget.BUILD_REQUESTS).admitted
    assert spend(limits).remaining == 2


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
