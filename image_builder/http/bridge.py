"""Runs handlers: on the event loop if they answer from memory, else on threads.

Between the event loop and a thread there is one hop in each direction: a request's body is read and validated before
the handler runs, and its answer is sent as a whole.

The threads are divided into lanes, so that a hanging back-end blocks only handlers that wait for back-ends. Each lane
serves organizations in turn. All requests without an identity count as those of one organization.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Final

from starlette.types import Receive, Scope, Send

from image_builder.http.answers import Answer
from image_builder.http.call import CALL, REQUEST_RECORD, Call, Lane, RequestRecord, Route
from image_builder.http.lanes import FairLane
from image_builder.http.long_poll import LongPoll, StatusChanges
from ports.waiting import MustWaitError, waiting_forbidden

# Bytes of memory: calls that hold more have a lane of their own, because they compute for long, and each thread that
# computes slows down the event loop.
_HEAVY: Final = 512 * 1024
# Threads of that lane.
_HEAVY_THREADS: Final = 6


class Bridge:
    """An ASGI application that runs the Call of a request."""

    def __init__(self, threads: Mapping[Lane, int], changes: StatusChanges, *, queue: int = 10) -> None:
        """`threads` is the number of threads of each lane; `queue` is how many calls may wait for each thread.

        `changes` wakes requests that wait for another status of a build.
        """
        self._long_poll = LongPoll(changes)
        self._lanes = {lane: FairLane(lane.value, count, max_waiting=count * queue) for lane, count in threads.items()}
        self._heavy = FairLane("heavy", _HEAVY_THREADS, max_waiting=_HEAVY_THREADS * queue)

    def close(self) -> None:
        """Stop the threads without waiting for calls that hang."""
        for lane in (*self._lanes.values(), self._heavy):
            lane.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the Call of the request. Raises UnavailableError if its lane is full, and the errors of the handler."""
        call: Call = scope[CALL]
        record: RequestRecord = scope[REQUEST_RECORD]

        run = partial(self._run, call.route, record, call.run)
        answer = await (self._long_poll.answer(call, record, receive, run) if call.route.long_poll else run())
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.encode_headers()})
        await send({"type": "http.response.body", "body": answer.body})

    async def _run(self, route: Route, record: RequestRecord, run: Callable[[], Answer]) -> Answer:
        if route.at_once:
            with suppress(MustWaitError):
                return _without_waiting(run)
        return await self._run_on_thread(route, record, run)

    async def _run_on_thread(self, route: Route, record: RequestRecord, run: Callable[[], Answer]) -> Answer:
        organization = record.tenant
        if record.memory.size > _HEAVY:
            return await self._heavy.run(organization, partial(copy_context().run, run))
        lane = self._lanes[route.lane]
        if route.rarely_waits and not lane.is_free_for(organization):
            snapshot = record.memory.snapshot()
            try:
                return await self._lanes[Lane.DIRECT].run(
                    organization, partial(copy_context().run, _without_waiting, run)
                )
            except MustWaitError:
                record.memory.restore(snapshot)  # the call needs a back-end, so it waits for a thread of its lane
        return await lane.run(organization, partial(copy_context().run, run))


def _without_waiting(run: Callable[[], Answer]) -> Answer:
    with waiting_forbidden():
        return run()
