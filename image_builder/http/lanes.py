"""Thread pools for request handlers that serve organizations in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from domain.errors import UnavailableError
from image_builder.fair_queue import FairQueue
from image_builder.thread_pool import ThreadPool

T = TypeVar("T")


def _succeed(done: asyncio.Future[T], result: T) -> None:
    if not done.done():  # the caller may have been cancelled
        done.set_result(result)


def _fail(done: asyncio.Future[Any], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)


class FairLane:
    """A thread pool with a queue of waiting calls. Its methods must be called on the event loop.

    Organizations take turns; one organization gets at most half of the threads and half of the places in the queue.
    """

    def __init__(self, name: str, threads: int, max_waiting: int) -> None:
        """`name` is the prefix of the threads' names; `max_waiting` is the number of places in the queue."""
        self._threads = ThreadPool(threads, name)
        # One future for each waiting call: resolved when the call may run, failed when the call is refused.
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(threads, max_waiting)

    def is_free_for(self, organization: str) -> bool:
        """Whether a call of this organization would get a thread without waiting."""
        return self._queue.has_place(organization)

    async def run(self, organization: str, call: Callable[[], T]) -> T:
        """Run the call on a thread when it is the organization's turn, and return its result.

        Raises UnavailableError if the queue is full, and the errors of the call.
        """
        if not self._queue.take_at_once(organization):
            await self._wait_for_turn(organization)
        try:
            return await self._run_on_thread(call)
        finally:
            self._finish(organization)

    async def _run_on_thread(self, call: Callable[[], T]) -> T:
        """Do what `run_in_executor` does, which takes twice the time of the event loop because it chains futures."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - the caller gets it
                finish = partial(_fail, done, error)
            else:
                finish = partial(_succeed, done, result)
            with suppress(RuntimeError):  # the event loop has ended, with the caller
                loop.call_soon_threadsafe(finish)

        self._threads.start(run)
        return await done

    def close(self) -> None:
        """Stop the threads without waiting for calls that hang."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _wait_for_turn(self, organization: str) -> None:
        """Return when the call may run. Raises UnavailableError if it is refused."""
        turn = asyncio.get_running_loop().create_future()
        refused = self._queue.put(organization, turn)
        if refused is not None and not refused.done():
            refused.set_exception(UnavailableError("Too many requests are waiting already"))
        self._start_next()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._finish(organization)  # its turn came, but the caller was cancelled
            raise

    def _start_next(self) -> None:
        """Resolve the futures of the calls that may run now."""
        while (due := self._queue.take()) is not None:
            organization, turn = due
            if turn.done():  # cancelled while it waited
                self._queue.finish(organization)
            else:
                turn.set_result(None)

    def _finish(self, organization: str) -> None:
        self._queue.finish(organization)
        self._start_next()
