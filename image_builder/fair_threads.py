"""Threads that several organizations share, served in turn."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from image_builder.fair_queue import FairQueue

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Task:
    """A call that waits for a thread, and the future of its outcome."""

    future: Future[Any]
    call: Callable[[], Any]

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.call()
        except BaseException as error:  # noqa: BLE001 - the caller that waits for the outcome gets it
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class FairThreads:
    """A pool of threads of which one organization gets at most half, in turn with the others. Thread-safe."""

    def __init__(self, threads: int, name: str) -> None:
        """`name` is what the names of the threads begin with."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._queue: FairQueue[_Task] = FairQueue(threads)
        self._lock = Lock()
        self._ended = False

    def submit(self, organization: str, call: Callable[[], T]) -> Future[T]:
        """Make the call on a thread when it is the organization's turn. Raises RuntimeError after `shutdown`."""
        future: Future[T] = Future()
        with self._lock:
            if self._ended:
                raise RuntimeError("no calls are taken after the shutdown")
            self._queue.put(organization, _Task(future, call))
            self._start()
        return future

    def shutdown(self, *, wait: bool = True, cancel_futures: bool = False) -> None:
        """End the threads, as `concurrent.futures.Executor.shutdown` does; calls that wait for a turn are cancelled."""
        with self._lock:
            self._ended = True
            waiting = self._queue.clear()
        for task in waiting:
            task.future.cancel()
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)

    def __enter__(self) -> FairThreads:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def _start(self) -> None:
        """Hand threads to those whose turn it is; called with the lock held."""
        while not self._ended and (due := self._queue.take()) is not None:
            self._threads.submit(self._run, *due)

    def _run(self, organization: str, task: _Task) -> None:
        try:
            task.run()
        finally:
            with self._lock:
                self._queue.finish(organization)
                self._start()
