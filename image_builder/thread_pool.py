"""A pool of threads that are started on demand and end when they are idle.

`concurrent.futures.ThreadPoolExecutor` keeps each thread that it has started until its shutdown: after one burst of
requests, a process would have hundreds of threads for the rest of its life.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any, Final, TypeVar

T = TypeVar("T")

# Seconds after which an idle thread ends: longer than the pauses between the requests of a busy service.
_MAX_IDLE: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Task:
    """A call that runs on a thread, and the future of its result."""

    future: Future[Any]
    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]

    def __call__(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.call(*self.arguments, **self.keywords)
        except BaseException as error:  # noqa: BLE001 - the future raises it for its owner
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class ThreadPool(Executor):
    """At most `threads` threads that run calls in the order of their submission. Thread-safe.

    The thread that was busy last gets the next call, so that threads that are not needed become idle and end. The
    threads are daemons: an idle one does not delay the end of the process.
    """

    def __init__(self, threads: int, name: str, *, max_idle: float = _MAX_IDLE) -> None:
        """`name` is the prefix of the threads' names. A thread that is idle for `max_idle` seconds ends."""
        self._limit = threads
        self._name = name
        self._max_idle = max_idle
        self._lock = Lock()
        self._threads: set[PoolThread] = set()
        # The thread that became idle last is the last one.
        self._idle: list[PoolThread] = []
        self._waiting: deque[Callable[[], object]] = deque()
        self._started = 0
        self._ended = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run a call on a thread; implements `Executor.submit`. Raises RuntimeError after `shutdown`."""
        task = _Task(Future(), fn, args, kwargs)
        self.start(task)
        return task.future

    def start(self, task: Callable[[], object]) -> None:
        """Run a call that raises no error on a thread, and do not return its result: `submit` without a future.

        Raises RuntimeError after `shutdown`.
        """
        with self._lock:
            if self._ended:
                raise RuntimeError("cannot run calls after the shutdown")
            if self._idle:
                self._idle.pop().wake(task)
            elif len(self._threads) < self._limit:
                self._start_thread(task)
            else:
                self._waiting.append(task)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no further calls; implements `Executor.shutdown`."""
        with self._lock:
            self._ended = True
            cancelled = list(self._waiting) if cancel_futures else []
            if cancel_futures:
                self._waiting.clear()
            while self._idle:
                self._idle.pop().wake(None)
            threads = list(self._threads)
        for task in cancelled:
            if isinstance(task, _Task):
                task.future.cancel()
        if wait:
            for thread in threads:
                thread.join()

    def _start_thread(self, task: Callable[[], object]) -> None:
        """Start a thread with its first task. The caller holds the lock."""
        thread = PoolThread(self, task, f"{self._name}_{self._started}")
        thread.start()
        self._started += 1
        self._threads.add(thread)

    def next_task(self, thread: PoolThread) -> Callable[[], object] | None:
        """The next task of a thread that has ended one; waits for it. None if the thread has to end."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            if self._ended:
                self._threads.discard(thread)
                return None
            self._idle.append(thread)
        if not thread.wait(self._max_idle):
            with self._lock:
                if thread in self._idle:
                    self._idle.remove(thread)
                    self._threads.discard(thread)
                    return None
            thread.wait()  # a task has arrived at the last moment
        return thread.task


class PoolThread(Thread):
    """A thread of a pool. `task` is what it has to run next; `is_busy` tells whether it runs a call."""

    def __init__(self, pool: ThreadPool, task: Callable[[], object], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.task: Callable[[], object] | None = task
        self.is_busy = True
        self._pool = pool
        # Locked while the thread has no task.
        self._woken = Lock()
        self._woken.acquire()

    def wake(self, task: Callable[[], object] | None) -> None:
        """Give the thread, which is idle, its next task, or None to end it."""
        self.task = task
        self._woken.release()

    def wait(self, seconds: float = -1) -> bool:
        """Wait until the thread is woken, at most for this number of seconds; returns whether it was woken."""
        return self._woken.acquire(timeout=seconds)

    def run(self) -> None:
        """Run tasks until the pool has none for this thread."""
        task, self.task = self.task, None
        while task is not None:
            self.is_busy = True
            task()
            del task  # an idle thread must not keep a request and its answer in memory
            self.is_busy = False
            task, self.task = self._pool.next_task(self), None
