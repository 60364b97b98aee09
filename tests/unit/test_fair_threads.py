"""Threads that organizations share (image_builder.fair_threads)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from functools import partial

import pytest

from image_builder.fair_threads import FairThreads
from tests.support.waiting import PATIENCE, until


@pytest.fixture
def threads() -> Iterator[FairThreads]:
    with FairThreads(4, "test") as running:
        yield running


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What calls wait for; it is opened at the end of a test, lest one of them waits for ever."""
    opened = threading.Event()
    yield opened
    opened.set()


def waiting(gate: threading.Event, began: list[str], name: str) -> None:
    began.append(name)
    gate.wait(PATIENCE)


def test_the_future_has_the_result(threads: FairThreads) -> None:
    assert threads.submit("a", lambda: 42).result(PATIENCE) == 42


def test_the_future_has_the_error_and_the_thread_goes_on(threads: FairThreads) -> None:
    def fail() -> None:
        raise ValueError("no")

    for _ in range(10):
        with pytest.raises(ValueError, match="no"):
            threads.submit("a", fail).result(PATIENCE)


def test_many_calls_of_one_organization_leave_threads_for_another(threads: FairThreads, gate: threading.Event) -> None:
    began: list[str] = []
    for _ in range(1000):
        threads.submit("a", partial(waiting, gate, began, "a"))
    until(lambda: len(began) == 2, "half of the threads are busy")
    assert threads.submit("b", lambda: "done").result(PATIENCE) == "done"
    assert began == ["a", "a"]


def test_all_calls_are_made_in_the_end(threads: FairThreads) -> None:
    made: list[Future[int]] = [
        threads.submit(organization, partial(int, number)) for number in range(500) for organization in ("a", "b", "c")
    ]
    assert sum(each.result(PATIENCE) for each in made) == 3 * sum(range(500))


def test_a_call_that_is_cancelled_before_its_turn_is_not_made(threads: FairThreads, gate: threading.Event) -> None:
    began: list[str] = []
    for _ in range(2):
        threads.submit("a", partial(waiting, gate, began, "a"))
    third = threads.submit("a", partial(waiting, gate, began, "cancelled"))
    fourth = threads.submit("a", lambda: "done")
    assert third.cancel()
    gate.set()
    assert fourth.result(PATIENCE) == "done"
    assert began == ["a", "a"]


def test_at_the_end_calls_that_wait_are_cancelled_and_none_is_taken(gate: threading.Event) -> None:
    threads = FairThreads(2, "test")
    began: list[str] = []
    running = threads.submit("a", partial(waiting, gate, began, "a"))
    until(lambda: began == ["a"], "a call runs")
    queued = threads.submit("a", lambda: None)
    threads.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(CancelledError):
        queued.result(PATIENCE)
    with pytest.raises(RuntimeError):
        threads.submit("a", lambda: None)
    gate.set()
    assert running.result(PATIENCE) is None


def test_calls_from_many_threads_are_all_made(threads: FairThreads) -> None:
    done: list[int] = []

    def submit_some(organization: str) -> None:
        for each in [threads.submit(organization, partial(done.append, number)) for number in range(200)]:
            each.result(PATIENCE)

    callers = [threading.Thread(target=submit_some, args=(str(number % 3),)) for number in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(PATIENCE)
    assert len(done) == 1200
