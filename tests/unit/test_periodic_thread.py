"""Tasks that run again and again, beside the requests."""

from __future__ import annotations

import threading

from ports.periodic_thread import PeriodicThread
from tests.support.waiting import PATIENCE


def unexpected(error):
    raise AssertionError from error


def test_the_task_runs_at_the_start_and_again_after_each_interval():
    runs = threading.Semaphore(0)
    thread = PeriodicThread("test", runs.release, 0.01, on_error=unexpected)
    thread.start()
    assert all(runs.acquire(timeout=PATIENCE) for _ in range(3))
    thread.stop()


def test_no_run_follows_the_stop():
    runs = []
    ran = threading.Event()

    def task():
        runs.append(1)
        ran.set()

    thread = PeriodicThread("test", task, 60, on_error=unexpected)
    thread.start()
    assert ran.wait(PATIENCE)
    thread.stop(timeout=PATIENCE)
    assert not thread._thread.is_alive()
    assert len(runs) == 1


def test_an_error_is_reported_and_the_next_run_follows():
    errors, recovered = [], threading.Event()

    def task():
        if not errors:
            raise ValueError("first run")
        recovered.set()

    thread = PeriodicThread("test", task, 0.01, on_error=errors.append)
    thread.start()
    assert recovered.wait(PATIENCE)
    thread.stop()
    assert [str(error) for error in errors] == ["first run"]


def test_the_stop_does_not_wait_for_a_task_that_hangs():
    began, go_on = threading.Event(), threading.Event()

    def task():
        began.set()
        go_on.wait(PATIENCE)

    thread = PeriodicThread("test", task, 0.01, on_error=unexpected)
    thread.start()
    assert began.wait(PATIENCE)
    thread.stop(timeout=0.01)
    assert thread._thread.is_alive()
    go_on.set()
    thread.stop(timeout=PATIENCE)
    assert not thread._thread.is_alive()


def test_a_thread_that_was_not_started_can_be_stopped():
    PeriodicThread("test", lambda: None, 60, on_error=unexpected).stop()
