"""The outermost ASGI application, which all requests pass (docs/architecture.md, How a request is processed).

It gives each request an id, answers pages that are not in openapi.yaml (probes, documents), turns every exception into
an error body, counts requests in the metrics, and writes the access log.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import UnavailableError
from image_builder.http.call import REQUEST_RECORD, RequestRecord
from image_builder.http.errors import HttpError, Problem, to_problem
from image_builder.http.limiter import Limiter
from image_builder.http.memory import Account, RequestMemory
from image_builder.http.rate_limits import add_rate_limits
from image_builder.http.request_ids import REQUEST_ID, read_trace
from image_builder.telemetry import logs
from image_builder.telemetry.logs import DEMO_USER_AGENT
from image_builder.telemetry.metrics import Metrics
from image_builder.telemetry.tracing import Tracing
from ports.memory import current_memory
from ports.trace import current_trace

log = structlog.get_logger()

# Headers of every answer: browsers must not guess other content types, and caches must not store tenants' data.
_COMMON_HEADERS: Final = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
# Bytes: larger answers are written in parts of this size.
_PART_SIZE: Final = 60 * 1024
# Bytes that the process and the kernel buffer, at most, for a client that does not read its answer.
_MAX_BUFFERED: Final = 256 * 1024
# Bytes: smaller answers reserve no memory.
_MIN_RESERVED: Final = 8 * 1024
# The methods that metrics distinguish.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Document:
    """The answer to a request for a page that is not in openapi.yaml.

    `etag` is its strong entity tag, empty for none: a request that names it in If-None-Match is answered 304.
    """

    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] | None = None
    status: int = 200
    etag: str = ""


PageHandler = Callable[[str], Awaitable[Document]]


class Edge:
    """An ASGI application around the application of the API's operations.

    `pages` maps a path that is not in openapi.yaml to the handler of GET requests there. A key that ends with a slash
    stands for all paths below it; its handler gets the rest of the path. Exceptions of handlers are answered like any
    error. `base_paths` are the base paths of the API: rate limits and metrics apply to requests below them.
    """

    def __init__(
        self,
        app: ASGIApp,
        pages: Mapping[str, PageHandler],
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
        """Serve one request. Scopes of other types (lifespan) are passed on unchanged."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        trace = read_trace(scope["headers"])
        current_trace.set(trace)
        account = Account(self._memory)
        current_memory.set(account)
        record = scope[REQUEST_RECORD] = RequestRecord(trace.request_id, account)
        below_base = scope["path"].startswith(self._bases)
        span = self._tracing.request(_method_label(scope["method"]), scope["headers"], trace) if below_base else None
        answer = _Answer(send, record)
        try:
            await self._answer(scope, receive, answer)
        except asyncio.CancelledError:
            # The server shuts down, and the request did not end within SHUTDOWN_TIMEOUT.
            await answer.send_problem(to_problem(UnavailableError("The service has ended before there was an answer")))
        except Exception as error:  # noqa: BLE001 - the last place where an error can become an answer
            problem = to_problem(error)
            _forget_frames(error)
            await answer.send_problem(problem)
        finally:
            account.close()
            self._report(scope, record, time.perf_counter() - began)
            if span is not None:
                span.end(
                    template=record.template, operation=record.operation, tenant=record.tenant, status=record.status
                )

    def count_refused(self, method: str, path: str, status: int) -> None:
        """Count a request in the metrics whose head the server has refused (see protocol.py)."""
        if path.startswith(self._bases):
            self._metrics.observe("", _method_label(method), status, 0.0)

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        if b"%2f" in scope.get("raw_path", b"").lower():
            # An escaped slash: routing would decode it to a separator, and no parameter allows one.
            await self._count_unrouted(scope)
            raise HTTPException(404)
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
        await answer.send_document(await self._pages[key](scope["path"].removeprefix(key)), scope["headers"])

    async def _count_unrouted(self, scope: Scope) -> None:
        """Count a request below a base path that matches no operation towards the rate limits."""
        if scope["path"].startswith(self._bases):
            await self._limiter.admit_unrouted(scope)

    def _page_key(self, path: str) -> str | None:
        if path in self._pages:
            return path
        return next((folder for folder in self._folders if path.startswith(folder)), None)

    def _report(self, scope: Scope, record: RequestRecord, seconds: float) -> None:
        below_base = scope["path"].startswith(self._bases)
        if below_base:
            answered_in = max(seconds - record.waited, 0.0)
            self._metrics.observe(record.template, _method_label(scope["method"]), record.status, answered_in)
        is_shown = below_base and not (logs.is_console() and _is_from_demo(scope))
        level = "warning" if record.status >= 500 else "info" if is_shown else "debug"
        getattr(log, level)(
            "request",
            method=scope["method"],
            operation_id=record.operation or None,
            path=None if record.operation else scope["path"],
            status=record.status,
            org_id=record.tenant or None,
            duration_ms=round(seconds * 1000, 2),
        )


def _forget_frames(error: BaseException) -> None:
    """Remove the tracebacks of an error that has been reported, and of the errors that led to it.

    Their frames hold what the request did, such as its body. Where a frame refers to the error, for instance by the
    future of a thread, all of that would stay in memory until a garbage collection.
    """
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = None
            waiting += (each.__cause__, each.__context__)


def _is_from_demo(scope: Scope) -> bool:
    """Whether the command `demo` sends the request. It polls its builds, which would hide other lines of the log."""
    return (b"user-agent", DEMO_USER_AGENT.encode()) in scope["headers"]


class _Answer:
    """Sends the answer to one request, with the headers that every answer has."""

    def __init__(self, send: Send, record: RequestRecord) -> None:
        self._send = send
        self._record = record
        self._headers = ((REQUEST_ID, record.request_id.encode()), *_COMMON_HEADERS)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            length = next((int(value) for name, value in message["headers"] if name == b"content-length"), 0)
            memory = self._record.memory
            # Memory that the request has reserved for documents is used for the answer, which replaces them.
            if length > _MIN_RESERVED and memory.size < _MAX_BUFFERED:
                await memory.reserve_async(max(min(length, _MAX_BUFFERED) - memory.size, 0))
            self._record.status = message["status"]
            headers = [*message["headers"], *self._headers]
            message["headers"] = add_rate_limits(headers, self._record.limits) if self._record.limits else headers
        if len(message.get("body", b"")) > _PART_SIZE:
            body = memoryview(message["body"])
            # After each part the server waits until the client has read most of it, so that little is buffered.
            while len(body) > _PART_SIZE:
                await self._send_part({**message, "body": body[:_PART_SIZE], "more_body": True})
                body = body[_PART_SIZE:]
            message = {**message, "body": body}
        await self._send_part(message)

    async def _send_part(self, message: Message) -> None:
        try:
            await self._send(message)
        except RuntimeError as error:
            # The client has closed the connection; uvloop may notice this before uvicorn does.
            if "closed=True" not in str(error):
                raise

    async def send_problem(self, problem: Problem) -> None:
        """Answer with an error, unless an answer has begun."""
        if self._record.status:
            return  # the answer has begun, so its status cannot be changed
        with suppress(OSError):
            await self._send_whole(
                problem.status, problem.body, {"content-type": "application/json", **problem.headers}
            )

    async def send_document(self, document: Document, request_headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Send the document, or 304 if the request names its entity tag."""
        if document.etag and _names_tag(request_headers, document.etag.encode()):
            await self.send(
                {"type": "http.response.start", "status": 304, "headers": [(b"etag", document.etag.encode())]}
            )
            await self.send({"type": "http.response.body", "body": b""})
            return
        headers = {"content-type": document.content_type, **(document.headers or {})}
        if document.etag:
            headers["etag"] = document.etag
        await self._send_whole(document.status, document.body, headers)

    async def _send_whole(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        encoded.append((b"content-length", str(len(body)).encode()))
        await self.send({"type": "http.response.start", "status": status, "headers": encoded})
        await self.send({"type": "http.response.body", "body": body})


def _names_tag(headers: Iterable[tuple[bytes, bytes]], etag: bytes) -> bool:
    """Return whether If-None-Match (RFC 9110, section 13.1.2) lists the tag, or any tag."""
    values = [value.strip(b"\t ") for name, value in headers if name == b"if-none-match"]
    return any(value == b"*" or etag in value for value in values)


def _method_label(method: str) -> str:
    """Return the method as the label of a metric: one label for all unusual methods, because each takes memory."""
    return method if method in _METHODS else "other"
