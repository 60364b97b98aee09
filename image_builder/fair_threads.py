"""A pool of threads that several organizations share, served in turn."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, TypeVar

from image_builder.fair_queue import FairQueue
from image_builder.thread_pool import ThreadPool

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Task:
    """A call that waits for a thread, and the future of its result."""

    future: Future[Any]
    call: Callable[[], Any]

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.call()
        except BaseException as error:  # noqa: BLE001 - the future raises it for its owner
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class FairThreads:
    """A pool of threads that serves organizations in turn; one organization gets at most half of them. Thread-safe."""

    def __init__(self, threads: int, name: str) -> None:
        """`name` is the prefix of the threads' names."""
        self._threads = ThreadPool(threads, name)
        self._queue: FairQueue[_Task] = FairQueue(threads)
        self._lock = Lock()
        self._ended = False

    def submit(self, organization: str, call: Callable[[], T]) -> Future[T]:
        """Run the call on a thread when it is the organization's turn. Raises RuntimeError after `shutdown`."""
        future: Future[T] = Future()
        with self._lock:
            if self._ended:
                raise RuntimeError("cannot run calls after the shutdown")
            self._queue.put(organization, _Task(future, call))
            self._start_next()
        return future

    def shutdown(self, *, wait: bool = True, cancel_futures: bool = False) -> None:
        """Stop the threads, as `concurrent.futures.Executor.shutdown` does, and cancel the waiting calls."""
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

    def _start_next(self) -> None:
        """Start the calls that may run now. The caller holds the lock."""
        while not self._ended and (due := self._queue.take()) is not None:
            self._threads.start(partial(self._run, *due))

    def _run(self, organization: str, task: _Task) -> None:
        try:
            task.run()
        finally:
            with self._lock:
                self._queue.finish(organization)
                self._start_next()
