"""Concurrent calls (image_builder.usecases.concurrency)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from functools import partial

import pytest

from image_builder.fair_threads import FairThreads
from image_builder.usecases.concurrency import run_concurrently
from tests.support.waiting import PATIENCE

ROLE: ContextVar[str] = ContextVar("ROLE", default="nobody")


@pytest.fixture
def threads() -> Iterator[FairThreads]:
    with FairThreads(8, "test") as running:
        yield running


def test_the_results_are_in_the_order_of_the_calls(threads: FairThreads) -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.05 if number == 0 else 0)
        return number

    assert run_concurrently(threads, "a", [partial(slow_first, number) for number in range(20)]) == list(range(20))


def test_no_calls_have_no_results(threads: FairThreads) -> None:
    assert run_concurrently(threads, "a", []) == []


def test_the_calls_run_at_the_same_time(threads: FairThreads) -> None:
    everybody = threading.Barrier(4, timeout=PATIENCE)
    run_concurrently(threads, "a", [everybody.wait] * 4)


def test_at_most_so_many_run_at_once(threads: FairThreads) -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def call() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    run_concurrently(threads, "a", [call] * 20, at_once=2)
    assert most == 2


def test_the_first_error_in_the_order_of_the_calls_is_raised_when_all_have_ended(threads: FairThreads) -> None:
    ended = []

    def fail(name: str, seconds: float) -> None:
        time.sleep(seconds)
        ended.append(name)
        raise ValueError(name)

    with pytest.raises(ValueError, match="first"):
        run_concurrently(threads, "a", [lambda: None, partial(fail, "first", 0.1), partial(fail, "second", 0.0)])
    assert sorted(ended) == ["first", "second"]


def test_the_calls_see_the_context_of_the_caller(threads: FairThreads) -> None:
    token = ROLE.set("somebody")
    try:
        assert run_concurrently(threads, "a", [ROLE.get] * 4) == ["somebody"] * 4
    finally:
        ROLE.reset(token)


def test_a_pool_that_is_busy_does_not_stop_the_caller(threads: FairThreads) -> None:
    gate = threading.Event()
    try:
        for organization in ("a", "b"):
            for _ in range(100):
                threads.submit(organization, partial(gate.wait, PATIENCE))
        assert run_concurrently(threads, "c", [partial(int, number) for number in range(5)]) == list(range(5))
    finally:
        gate.set()
