"""Runs a WSGI application (Flask) in an ASGI server: a request moves to a thread once, and back once.

General bridges cost 230 us per request, mostly for streaming bodies, which no operation of this service does: a
request's body is read and validated before the request moves to a thread, and its answer is sent as a whole.

The threads are divided into lanes, so that a hanging back-end blocks only handlers that wait for back-ends. Each lane
serves organizations in turn. Requests without an identity count as one organization.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping
from contextvars import copy_context
from functools import partial
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from image_builder.http.call import CALL, REQUEST_RECORD, Call, Lane, RequestRecord, Route
from image_builder.http.lanes import FairLane
from image_builder.http.long_poll import Answer, LongPoll, StatusChanges
from ports.waiting import MustWaitError, waiting_forbidden

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# Bytes of memory; calls that hold more have a lane of their own. They compute for long, and each thread that computes
# slows down the event loop.
_HEAVY: Final = 512 * 1024
# Threads of that lane.
_HEAVY_THREADS: Final = 6


class Bridge:
    """An ASGI application that runs a WSGI application on threads."""

    def __init__(self, app: WsgiApp, threads: Mapping[Lane, int], changes: StatusChanges, *, queue: int = 10) -> None:
        """`threads` is the number of threads of each lane, `queue` the number of calls that may wait per thread.

        `changes` is for requests that wait for a change.
        """
        self._app = app
        self._long_poll = LongPoll(changes)
        self._lanes = {lane: FairLane(lane.value, count, most_waiting=count * queue) for lane, count in threads.items()}
        self._heavy = FairLane("heavy", _HEAVY_THREADS, most_waiting=_HEAVY_THREADS * queue)

    def close(self) -> None:
        """Stop the threads without waiting for calls that hang."""
        for lane in (*self._lanes.values(), self._heavy):
            lane.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the call of the scope. Raises UnavailableError if its lane is full, and what the handler raises."""
        call: Call = scope[CALL]
        record: RequestRecord = scope[REQUEST_RECORD]

        async def run() -> Answer:
            return await self._run_on_thread(call.route, record, partial(self._run, _environment(scope, call)))

        if call.route.long_poll:
            status, headers, body = await self._long_poll.answer(call, record, receive, run)
        else:
            status, headers, body = await run()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

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
                record.memory.restore(snapshot)  # the call needs a back-end: it waits for a thread of the other lane
        return await lane.run(organization, partial(copy_context().run, run))

    def _run(self, environment: dict[str, Any]) -> Answer:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> None:
            started.append((status, headers))

        parts = self._app(environment, start_response)
        try:
            body = b"".join(parts)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()
        status, headers = started[-1]
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return int(status[:3]), encoded, body


def _without_waiting(run: Callable[[], Answer]) -> Answer:
    with waiting_forbidden():
        return run()


def _environment(scope: Scope, call: Call) -> dict[str, Any]:
    """The WSGI environment (PEP 3333) of the call. It has no headers and no body: both were read before."""
    server = scope.get("server") or ("localhost", 80)
    return {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        CALL: call,
    }
