"""Runs Flask below ASGI: a request changes to a thread once, and back once.

Plumbing of our own because it pays: the general bridges cost 230 us a request, most of it for streaming bodies either
way, which no operation here does. A request's body is read and checked before the hop, its answer is whole.

The threads come in lanes: handlers that wait for back-ends fill theirs when a back-end hangs, and the others go on.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from domain.errors import UnavailableError
from image_builder.http.call import CALL, Call, Lane

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_NO_INPUT: Final = b""


@dataclass(slots=True)
class _Threads:
    """A lane's threads, and how many calls may be in it: those that run and those that queue."""

    executor: ThreadPoolExecutor
    most: int
    taken: int = 0


class Bridge:
    """An ASGI application that runs a WSGI one."""

    def __init__(self, app: WsgiApp, threads: Mapping[Lane, int], *, queue: int = 10) -> None:
        """`threads` says how many each lane has; `queue` how many calls may queue for each of them."""
        self._app = app
        self._lanes = {
            lane: _Threads(ThreadPoolExecutor(count, thread_name_prefix=lane.value), count * (1 + queue))
            for lane, count in threads.items()
        }

    def close(self) -> None:
        """End the threads. Those whose call hangs, though the server waited for it, are not waited for."""
        for lane in self._lanes.values():
            lane.executor.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Run the call of the scope. Raises UnavailableError when its lane is full, and whatever the handler raises."""
        call: Call = scope[CALL]
        lane = self._lanes[call.route.lane]
        if lane.taken >= lane.most:
            raise UnavailableError("Too many requests are waiting already")
        lane.taken += 1
        try:
            status, headers, body = await asyncio.get_running_loop().run_in_executor(
                lane.executor, copy_context().run, self._run, _environment(scope, call)
            )
        finally:
            lane.taken -= 1
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _run(self, environment: dict[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
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
