"""The outermost layer: what holds for every request, whatever becomes of it.

It gives each request its id, answers the probes and documents that lie outside the contract, turns every error into
the contract's error body, and writes the access log.
"""

from __future__ import annotations

import asyncio
import os
import re
import string
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import UnavailableError
from image_builder.http.call import NOTE, Note
from image_builder.http.errors import HttpError, Problem, problem_of
from image_builder.http.limiter import Limiter
from image_builder.http.memory import Account, RequestMemory
from image_builder.http.rate_limits import with_limits
from image_builder.telemetry.metrics import Metrics
from image_builder.telemetry.tracing import Tracing
from ports.memory import current_memory
from ports.trace import Trace, current_trace

log = structlog.get_logger()

_REQUEST_ID: Final = b"x-rh-insights-request-id"
_TRACE_ID: Final = b"x-strc-trace-id"
_PLAIN: Final = re.compile(rb"[\x21-\x7e]{1,128}")
_TRACE_LETTERS: Final = 15
_TO_LETTERS: Final = bytes(ord(string.ascii_letters[byte % len(string.ascii_letters)]) for byte in range(256))
# What is answered is what it says it is, and somebody's own: nothing between us keeps it.
_ALWAYS: Final = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
# The largest part of an answer that is written at once; and what a client that does not read its answer makes the
# process and the kernel buffer, in bytes.
_PART: Final = 64 * 1024
_BUFFERED: Final = 256 * 1024
# Smaller answers are not counted.
_COUNTED: Final = 8 * 1024
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Document:
    """An answer of the edge's own."""

    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] | None = None


Page = Callable[[str], Awaitable[Document]]


class Edge:
    """An ASGI application around the contract's.

    `pages` maps a path outside the contract to what answers a GET there (it gets the path below a key that ends
    with a slash); whatever it raises is answered like any error.
    """

    def __init__(
        self,
        app: ASGIApp,
        pages: Mapping[str, Page],
        base_paths: tuple[str, ...],
        limiter: Limiter,
        metrics: Metrics,
        tracing: Tracing,
        memory: RequestMemory,
    ) -> None:
        self._app = app
        self._pages = pages
        self._folders = tuple(path for path in pages if path.endswith("/"))
        self._bases = tuple(f"{base}/" for base in base_paths)
        self._limiter = limiter
        self._metrics = metrics
        self._tracing = tracing
        self._memory = memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; other kinds of scope (lifespan) go on unchanged."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        trace = _trace(scope)
        current_trace.set(trace)
        account = Account(self._memory)
        current_memory.set(account)
        note = scope[NOTE] = Note(trace.request_id, account)
        below_base = scope["path"].startswith(self._bases)
        span = self._tracing.request(_known(scope["method"]), scope["headers"], trace) if below_base else None
        answer = _Answer(send, note)
        try:
            await self._answer(scope, receive, answer)
        except asyncio.CancelledError:
            # The server ends, and waited for this one as long as it may.
            await answer.problem(problem_of(UnavailableError("The service has ended before there was an answer")))
        except Exception as error:  # noqa: BLE001 - the last place where an error can become an answer
            await answer.problem(problem_of(error))
        finally:
            account.close()
            self._finished(scope, note, time.perf_counter() - began)
            if span is not None:
                span.end(template=note.template, operation=note.operation, tenant=note.tenant, status=note.status)

    def refused(self, method: str, path: str, status: int) -> None:
        """Count a request that was refused before all of its headers were there."""
        if path.startswith(self._bases):
            self._metrics.observe("", _known(method), status, 0.0)

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        if b"%2f" in scope.get("raw_path", b"").lower():
            await self._count_unrouted(scope)
            raise HTTPException(404)  # routing would take it for a separator, and no parameter can hold one
        key = self._page_key(scope["path"])
        if key is None:
            try:
                await self._app(scope, receive, answer.send)
            except HTTPException:
                await self._count_unrouted(scope)
                raise
            return
        if scope["method"] not in {"GET", "HEAD"}:
            raise HttpError(405, "This resource does not take this method", {"Allow": "GET, HEAD"})
        await answer.document(await self._pages[key](scope["path"].removeprefix(key)))

    async def _count_unrouted(self, scope: Scope) -> None:
        """What no operation was found for is counted all the same, below a base path."""
        if scope["path"].startswith(self._bases):
            await self._limiter.admit_unrouted(scope)

    def _page_key(self, path: str) -> str | None:
        if path in self._pages:
            return path
        return next((folder for folder in self._folders if path.startswith(folder)), None)

    def _finished(self, scope: Scope, note: Note, seconds: float) -> None:
        below_base = scope["path"].startswith(self._bases)
        if below_base:
            self._metrics.observe(note.template, _known(scope["method"]), note.status, seconds)
        level = "warning" if note.status >= 500 else "info" if below_base else "debug"
        getattr(log, level)(
            "request",
            method=scope["method"],
            operation_id=note.operation or None,
            path=None if note.operation else scope["path"],
            status=note.status,
            org_id=note.tenant or None,
            duration_ms=round(seconds * 1000, 2),
        )


class _Answer:
    """The answer to one request, with what every answer carries."""

    def __init__(self, send: Send, note: Note) -> None:
        self._send = send
        self._note = note
        self._headers = ((_REQUEST_ID, note.request_id.encode()), *_ALWAYS)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            length = next((int(value) for name, value in message["headers"] if name == b"content-length"), 0)
            memory = self._note.memory
            # A request that has reserved memory for documents needs that no more: the answer is made of them.
            if length > _COUNTED and memory.size < _BUFFERED:
                await memory.reserve_soon(max(min(length, _BUFFERED) - memory.size, 0))
            self._note.status = message["status"]
            headers = [*message["headers"], *self._headers]
            message["headers"] = with_limits(headers, self._note.limits) if self._note.limits else headers
        body = memoryview(message.get("body", b""))
        # In parts: the server waits between two of them until the client has read on, and the request ends only then.
        while len(body) > _PART:
            await self._send_part({**message, "body": body[:_PART], "more_body": True})
            body = body[_PART:]
        await self._send_part({**message, "body": body} if "body" in message else message)

    async def _send_part(self, message: Message) -> None:
        try:
            await self._send(message)
        except RuntimeError as error:
            # The client has gone, which uvloop may know before uvicorn does.
            if "closed=True" not in str(error):
                raise

    async def problem(self, problem: Problem) -> None:
        if self._note.status:
            return  # half an answer is out already, and the connection as good as gone
        with suppress(OSError):
            await self._whole(problem.status, problem.body, {"content-type": "application/json", **problem.headers})

    async def document(self, document: Document) -> None:
        await self._whole(200, document.body, {"content-type": document.content_type, **(document.headers or {})})

    async def _whole(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        encoded.append((b"content-length", str(len(body)).encode()))
        await self.send({"type": "http.response.start", "status": status, "headers": encoded})
        await self.send({"type": "http.response.body", "body": body})


def _known(method: str) -> str:
    return method if method in _METHODS else "other"


def _trace(scope: Scope) -> Trace:
    request_id = trace_id = b""
    for name, value in scope["headers"]:
        if name == _REQUEST_ID:
            request_id = value
        elif name == _TRACE_ID:
            trace_id = value
    return Trace(
        request_id.decode() if _PLAIN.fullmatch(request_id) else os.urandom(16).hex(),
        trace_id.decode() if _PLAIN.fullmatch(trace_id) else _new_trace_id(),
    )


def _new_trace_id() -> str:
    return os.urandom(_TRACE_LETTERS).translate(_TO_LETTERS).decode()
