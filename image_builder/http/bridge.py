"""Runs Flask below ASGI: a request changes to a thread once, and back once.

Plumbing of our own because it pays: the general bridges cost 230 us a request, most of it for streaming bodies either
way, which no operation here does. A request's body is read and checked before the hop, its answer is whole.

The threads come in lanes: handlers that wait for back-ends fill theirs when a back-end hangs, and the others go on.
Each lane serves organizations in turn. Requests without an identity count as one organization.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping
from contextvars import copy_context
from functools import partial
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from image_builder.http.call import CALL, NOTE, Call, Lane, Note, Route
from image_builder.http.lanes import FairLane
from ports.waiting import MustWaitError, waiting_forbidden

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
# Status, headers, body.
_Answer = tuple[int, list[tuple[bytes, bytes]], bytes]

# Calls with bodies that take more memory, in bytes, have few threads of their own: they compute for long, and threads
# that compute take turns with the event loop.
_HEAVY: Final = 512 * 1024
_HEAVY_THREADS: Final = 6

_NO_INPUT: Final = b""


class Bridge:
    """An ASGI application that runs a WSGI one."""

    def __init__(self, app: WsgiApp, threads: Mapping[Lane, int], *, queue: int = 10) -> None:
        """`threads` says how many each lane has; `queue` how many calls may wait for each of them."""
        self._app = app
        self._lanes = {lane: FairLane(lane.value, count, most_waiting=count * queue) for lane, count in threads.items()}
        self._heavy = FairLane("heavy", _HEAVY_THREADS, most_waiting=_HEAVY_THREADS * queue)

    def close(self) -> None:
        """End the threads. Those whose call hangs, though the server waited for it, are not waited for."""
        for lane in (*self._lanes.values(), self._heavy):
            lane.close()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Run the call of the scope. Raises UnavailableError when its lane is full, and whatever the handler raises."""
        call: Call = scope[CALL]
        run = partial(self._run, _environment(scope, call))
        status, headers, body = await self._answer(call.route, scope[NOTE], run)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, route: Route, note: Note, run: Callable[[], _Answer]) -> _Answer:
        organization = note.tenant
        if note.memory.size > _HEAVY:
            return await self._heavy.run(organization, partial(copy_context().run, run))
        lane = self._lanes[route.lane]
        if route.rarely_waits and not lane.is_free_for(organization):
            held = note.memory.snapshot()
            try:
                return await self._lanes[Lane.DIRECT].run(
                    organization, partial(copy_context().run, _without_waiting, run)
                )
            except MustWaitError:
                note.memory.restore(held)  # it needs a back-end after all, and gets in line
        return await lane.run(organization, partial(copy_context().run, run))

    def _run(self, environment: dict[str, Any]) -> _Answer:
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


def _without_waiting(run: Callable[[], _Answer]) -> _Answer:
    with waiting_forbidden():
        return run()


def _environment(scope: Scope, call: Call) -> dict[str, Any]:
    """What Flask needs to route and run the call (PEP 3333); headers and body have been dealt with."""
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
        "wsgi.input": io.BytesIO(_NO_INPUT),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        CALL: call,
    }
