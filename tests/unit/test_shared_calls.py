"""Calls that simultaneous callers share."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.errors import InvalidRequestError, UnavailableError
from ports.shared_calls import NoResultError, SharedCall, SharedCalls
from tests.support.waiting import PATIENCE


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowFunction:
    """Runs until it is released, then gives one of its outcomes after the other."""

    def __init__(self, *outcomes: object) -> None:
        self.outcomes = list(outcomes)
        self.started = threading.Semaphore(0)
        self.released = threading.Event()
        self.calls: list[object] = []

    def __call__(self, key: object = None) -> object:
        self.calls.append(key)
        self.started.release()
        assert self.released.wait(PATIENCE)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


@pytest.fixture
def threads():
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_a_result_serves_later_callers_with_the_same_key_while_it_is_valid():
    asked, clock = [], Clock()
    shared = SharedCalls(lambda key: asked.append(key) or len(asked), valid_for=2.0, clock=clock)
    assert [shared("a"), shared("b"), shared("a")] == [1, 2, 1]
    clock.now = 1.9
    assert shared("a") == 1
    clock.now = 2.0
    assert shared("a") == 3


def test_callers_at_the_same_time_wait_for_one_result(threads):
    function = SlowFunction(object())
    shared = SharedCalls(function, valid_for=2.0)
    results = [threads.submit(shared, "a") for _ in range(8)]
    function.released.set()
    assert len({id(result.result(PATIENCE)) for result in results}) == 1
    assert function.calls == ["a"]


def test_an_error_is_raised_and_not_kept():
    outcomes = [UnavailableError("away"), "well"]

    def function(_):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    shared = SharedCalls(function, valid_for=2.0, clock=Clock())
    with pytest.raises(UnavailableError):
        shared("a")
    assert shared("a") == "well"


def test_an_error_reaches_all_who_wait_for_it(threads):
    function = SlowFunction(*[UnavailableError("away")] * 4)
    shared = SharedCalls(function, valid_for=2.0)
    results = [threads.submit(shared, "a") for _ in range(4)]
    assert function.started.acquire(timeout=PATIENCE)
    function.released.set()
    for result in results:
        with pytest.raises(UnavailableError):
            result.result(PATIENCE)


def test_keys_without_a_valid_result_are_dropped():
    clock = Clock()
    shared = SharedCalls(lambda key: key, valid_for=2.0, clock=clock)
    for number in range(2000):
        clock.now = float(number)
        shared(number)
    assert len(shared._calls) < 1000


def test_a_key_whose_call_runs_is_not_dropped(threads):
    function, clock = SlowFunction("one", "two"), Clock()
    shared = SharedCalls(lambda key: function(key) if key == "slow" else key, valid_for=2.0, clock=clock)
    slow = [threads.submit(shared, "slow")]
    assert function.started.acquire(timeout=PATIENCE)
    for number in range(2000):
        clock.now = float(number)
        shared(number)
    slow.append(threads.submit(shared, "slow"))
    function.released.set()
    assert [result.result(PATIENCE) for result in slow] == ["one", "one"]


def test_an_error_of_an_unshared_type_reaches_only_the_caller_that_ran_the_function(threads):
    function = SlowFunction(InvalidRequestError("too large for this caller"), "well")
    shared = SharedCall(function, shared_errors=UnavailableError)
    first = threads.submit(shared)
    assert function.started.acquire(timeout=PATIENCE)
    waiting = threads.submit(shared)
    while not shared._running._waiters:  # until the second caller waits
        time.sleep(0.001)
    function.released.set()
    with pytest.raises(InvalidRequestError):
        first.result(PATIENCE)
    with pytest.raises(NoResultError):
        waiting.result(PATIENCE)
    assert shared() == "well"


def test_a_waiter_gives_up_after_its_timeout_and_the_call_goes_on(threads):
    function = SlowFunction("well")
    shared = SharedCall(function, valid_for=60)
    first = threads.submit(shared)
    assert function.started.acquire(timeout=PATIENCE)
    with pytest.raises(NoResultError):
        shared(timeout=0.01)
    function.released.set()
    assert first.result(PATIENCE) == "well"
    assert shared(timeout=0) == "well"


def test_a_result_says_itself_until_when_it_is_valid():
    results, clock = [10.0, 20.0], Clock()
    shared = SharedCall(lambda: results.pop(0), valid_until=lambda result: result, clock=clock)
    assert shared() == 10.0
    clock.now = 9.9
    assert shared() == 10.0
    clock.now = 10.0
    assert shared() == 20.0


def test_only_a_result_that_meets_the_condition_is_forgotten():
    results = iter(["one", "two"])
    shared = SharedCall(lambda: next(results), valid_for=60)
    shared.forget_if(lambda _: True)
    assert shared() == "one"
    shared.forget_if(lambda result: result == "other")
    assert shared() == "one"
    shared.forget_if(lambda result: result == "one")
    assert shared() == "two"
