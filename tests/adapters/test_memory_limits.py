"""Rate limits in the memory of one process, or of all workers of a pod, with a clock that tests control."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.rate_limits.memory import InMemoryRateLimits, MovingWindowStorage
from adapters.rate_limits.shared import RateLimitMemory, SharedRateLimits
from domain.budgets import Budget
from tests.support.clock import Clock

WINDOW = 60
AMOUNTS = {Budget.READS: 3, Budget.WRITES: 2, Budget.BUILD_REQUESTS: 1}


@pytest.fixture(params=["of one process", "of all workers"])
def limits(request, clock):
    if request.param == "of one process":
        yield InMemoryRateLimits(AMOUNTS, WINDOW, clock)
        return
    with RateLimitMemory() as memory:
        yield SharedRateLimits(memory, AMOUNTS, WINDOW, clock)


def spend(limits, tenant="tenant", budget=Budget.READS, amount=1):
    return asyncio.run(limits.spend(tenant, budget, amount))


def test_requests_within_the_budget_pass_with_the_remaining_budget(limits):
    spent = [spend(limits) for _ in range(4)]
    assert [(each.admitted, each.remaining) for each in spent] == [(True, 2), (True, 1), (True, 0), (False, 0)]


def test_the_result_has_the_limit_and_its_window(limits):
    spent = spend(limits)
    assert (spent.limit, spent.window) == (3, timedelta(seconds=WINDOW))


def test_one_more_request_passes_when_the_oldest_leaves_the_window_and_not_before(limits, clock):
    for clock.now in (1000.0, 1010.0, 1020.0):
        spend(limits)
    clock.now = 1059.0
    assert spend(limits).frees_in == timedelta(seconds=1)
    clock.now = 1059.999
    assert not spend(limits).admitted
    clock.now = 1060.0
    assert spend(limits).admitted
    assert not spend(limits).admitted


def test_several_requests_are_counted_together_or_not_at_all(limits):
    spend(limits)
    assert spend(limits, amount=3).admitted is False
    both = spend(limits, amount=2)
    assert (both.admitted, both.remaining) == (True, 0)


def test_the_time_to_retry_leaves_room_for_the_request_and_the_refused_amount(limits, clock):
    for clock.now in (1000.0, 1010.0):
        spend(limits)
    clock.now = 1020.0
    spend(limits)
    refused = spend(limits, amount=1)
    assert (refused.frees_in, refused.retry_in) == (timedelta(seconds=40), timedelta(seconds=50))
    assert spend(limits, amount=2).retry_in == timedelta(seconds=60)
    clock.now = 1070.0
    assert spend(limits).admitted
    assert spend(limits, amount=1).admitted


def test_more_requests_than_the_limit_never_pass_together(limits):
    refused = spend(limits, amount=3 + 1)
    assert (refused.admitted, refused.remaining, refused.retry_in) == (False, 3, None)
    spend(limits)
    assert spend(limits, amount=3).retry_in is None


def test_refused_requests_are_not_counted(limits, clock):
    for clock.now in (1000.0, 1000.0, 1000.0, 1059.0, 1059.0):
        spend(limits)
    clock.now = 1060.0
    assert spend(limits).remaining == 2


def test_adjacent_windows_do_not_allow_twice_the_budget(limits, clock):
    clock.now = 1079.9
    assert [spend(limits).admitted for _ in range(3)] == [True, True, True]
    clock.now = 1080.1  # a new minute of the clock on the wall
    assert not spend(limits).admitted


def test_budgets_and_tenants_are_counted_separately(limits):
    assert [spend(limits, budget=Budget.BUILD_REQUESTS).admitted for _ in range(2)] == [True, False]
    assert spend(limits, budget=Budget.WRITES).admitted
    assert spend(limits, tenant="somebody else", budget=Budget.BUILD_REQUESTS).admitted


@pytest.mark.parametrize(("one", "other"), [("a/b", "a"), ("writes/a", "a"), ("a", "a/3/60/second"), ("Ä", "ä")])
def test_a_tenant_whose_name_looks_like_a_key_shares_no_budget(limits, one, other):
    for _ in range(3):
        spend(limits, tenant=one)
    assert spend(limits, tenant=other).remaining == 2


@given(gaps=st.lists(st.integers(0, 40), max_size=60))
def test_every_window_has_at_most_the_budget_and_no_request_is_refused_below_it(gaps):
    clock = Clock()
    limits = InMemoryRateLimits(AMOUNTS, WINDOW, clock)
    admitted = []
    for gap in gaps:
        clock.now += gap
        inside = [moment for moment in admitted if moment > clock.now - WINDOW]
        spent = spend(limits)
        assert spent.admitted == (len(inside) < AMOUNTS[Budget.READS])
        if spent.admitted:
            admitted.append(clock.now)


def test_expired_tenants_are_removed_by_requests_of_others(clock):
    memory = MovingWindowStorage(clock)
    for number in range(100):
        assert memory.acquire_entry(f"gone {number}", 3, WINDOW)
    clock.now += WINDOW
    for _ in range(50):
        assert memory.acquire_entry("still here", 100, WINDOW)
    assert len(memory) == 1


def test_a_tenant_with_counted_requests_is_not_removed(clock):
    memory = MovingWindowStorage(clock)
    memory.acquire_entry("tenant", 1, WINDOW)
    clock.now += WINDOW / 2
    for _ in range(5):
        memory.acquire_entry("others", 100, WINDOW)
    assert not memory.acquire_entry("tenant", 1, WINDOW)


def test_entries_that_expire_just_after_a_refusal_leave_nothing_to_wait_for():
    # Two requests are admitted, and a third is refused; each reads the clock several times.
    for expired_from in range(20):
        readings = iter([1000.0] * expired_from + [1060.0] * 20)
        advancing = InMemoryRateLimits(AMOUNTS, WINDOW, lambda readings=readings: next(readings))
        for amount in (1, 1, 2):
            counted = asyncio.run(advancing.spend("tenant", Budget.READS, amount))
            assert counted.admitted == (counted.retry_in is None)
