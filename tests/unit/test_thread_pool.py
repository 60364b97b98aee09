"""Threads of a pool are started on demand, are reused, and end when they are idle."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from concurrent.futures import CancelledError, Executor, ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from image_builder.thread_pool import ThreadPool
from tests.support.waiting import PATIENCE, until


def threads_of(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(f"{name}_")]


def test_a_call_runs_on_a_thread_and_its_future_has_the_result_or_the_error() -> None:
    with ThreadPool(2, "results") as pool:
        assert isinstance(pool, Executor)
        assert pool.submit(lambda number, more: (number, more), 1, more=2).result(PATIENCE) == (1, 2)
        assert pool.submit(lambda: threading.current_thread().name).result(PATIENCE).startswith("results_")
        failed = pool.submit(int, "x")
        with pytest.raises(ValueError, match="invalid literal"):
            failed.result(PATIENCE)


def test_there_are_no_threads_before_the_first_call() -> None:
    with ThreadPool(2, "none"):
        assert threads_of("none") == []


def test_calls_that_follow_each_other_use_fewer_threads_than_there_may_be() -> None:
    with ThreadPool(50, "few", max_idle=PATIENCE) as pool:
        for _ in range(100):
            pool.submit(int).result(PATIENCE)
            time.sleep(0.005)  # a thread becomes idle only after its result is known
        assert len(threads_of("few")) < 50


def test_as_many_calls_run_at_once_as_there_may_be_threads_and_others_wait() -> None:
    with ThreadPool(3, "limit") as pool:
        together, release = Barrier(4), Event()
        running = [pool.submit(together.wait, PATIENCE) for _ in range(3)]
        waiting = pool.submit(release.set)
        assert not release.is_set()
        together.wait(PATIENCE)
        for future in (*running, waiting):
            future.result(PATIENCE)
        assert len(threads_of("limit")) <= 3


def test_threads_end_when_they_are_idle_and_are_started_again() -> None:
    with ThreadPool(20, "idle", max_idle=0.05) as pool:
        for _ in range(2):
            together = Barrier(20)
            for future in [pool.submit(together.wait, PATIENCE) for _ in range(20)]:
                future.result(PATIENCE)
            until(lambda: not threads_of("idle"), "no threads")


def test_no_call_is_lost_when_threads_end_at_the_moment_of_its_submission() -> None:
    with ThreadPool(4, "race", max_idle=0.001) as pool, ThreadPoolExecutor(4) as callers:

        def call_often() -> int:
            return sum(pool.submit(lambda: 1).result(PATIENCE) for _ in range(500))

        assert [future.result() for future in [callers.submit(call_often) for _ in range(4)]] == [500] * 4


def test_an_idle_thread_keeps_nothing_of_its_call_in_memory() -> None:
    class Large:
        pass

    with ThreadPool(1, "memory", max_idle=PATIENCE) as pool:
        large = Large()
        gone = weakref.ref(large)
        pool.submit(lambda _: None, large).result(PATIENCE)
        del large
        until(lambda: gc.collect() >= 0 and gone() is None, "the argument is freed")


def test_after_the_shutdown_threads_end_and_calls_are_refused() -> None:
    pool = ThreadPool(2, "shut")
    pool.submit(int).result(PATIENCE)
    pool.shutdown()
    assert threads_of("shut") == []
    with pytest.raises(RuntimeError, match="shutdown"):
        pool.submit(int)


def test_the_shutdown_runs_the_waiting_calls_or_cancels_them() -> None:
    for cancels in (False, True):
        pool, release = ThreadPool(1, "waiting"), Event()
        running = pool.submit(release.wait, PATIENCE)
        waiting = pool.submit(lambda: "ran")
        pool.shutdown(wait=False, cancel_futures=cancels)
        release.set()
        assert running.result(PATIENCE)
        if cancels:
            with pytest.raises(CancelledError):
                waiting.result(PATIENCE)
        else:
            assert waiting.result(PATIENCE) == "ran"


def test_a_call_without_a_future_runs_on_a_thread_and_is_refused_after_the_shutdown() -> None:
    pool = ThreadPool(1, "started")
    ran, gate = Event(), Event()
    pool.start(lambda: gate.wait(PATIENCE))
    pool.start(ran.set)
    assert not ran.is_set()
    gate.set()
    assert ran.wait(PATIENCE)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="after the shutdown"):
        pool.start(ran.set)


def test_calls_without_a_future_that_wait_are_dropped_by_a_shutdown_that_cancels() -> None:
    pool = ThreadPool(1, "dropped")
    begun, gate, ran = Event(), Event(), Event()
    pool.start(lambda: begun.set() or gate.wait(PATIENCE))
    assert begun.wait(PATIENCE)
    pool.start(ran.set)
    pool.shutdown(wait=False, cancel_futures=True)
    gate.set()
    pool.shutdown()
    assert not ran.is_set()
