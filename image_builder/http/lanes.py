"""The threads of a lane, which serve organizations in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from domain.errors import UnavailableError
from image_builder.fair_queue import FairQueue

T = TypeVar("T")


class FairLane:
    """A pool of threads and the calls that wait for one. Lives on the event loop.

    Organizations are served in turn; one organization gets at most half of the threads and half of the waiting places.
    """

    def __init__(self, name: str, threads: int, most_waiting: int) -> None:
        """`name` is what the names of the threads begin with."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        # A future for each call that waits: done when it may run, or is refused.
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(threads, most_waiting)

    def is_free_for(self, organization: str) -> bool:
        """Whether a call of this organization would get a thread at once."""
        return self._queue.has_place(organization)

    async def run(self, organization: str, call: Callable[[], T]) -> T:
        """The result of the call, made on a thread when it is the organization's turn.

        Raises UnavailableError where too many calls wait already, and whatever the call raises.
        """
        await self._turn(organization)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        finally:
            self._finish(organization)

    def close(self) -> None:
        """End the threads. Those whose call hangs are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _turn(self, organization: str) -> None:
        """Wait until a call may run. Raises UnavailableError where it is refused."""
        turn = asyncio.get_running_loop().create_future()
        refused = self._queue.put(organization, turn)
        if refused is not None and not refused.done():
            refused.set_exception(UnavailableError("Too many requests are waiting already"))
        self._start()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._finish(organization)  # the turn came after the caller had been cancelled
            raise

    def _start(self) -> None:
        """Tell those whose turn it is."""
        while (due := self._queue.take()) is not None:
            organization, turn = due
            if turn.done():  # cancelled while it waited
                self._queue.finish(organization)
            else:
                turn.set_result(None)

    def _finish(self, organization: str) -> None:
        self._queue.finish(organization)
        self._start()
