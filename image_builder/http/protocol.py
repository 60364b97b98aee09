"""The HTTP server's protocol: one request at a time on a connection, with limits on memory, time and connections.

uvicorn runs the application and writes the answer. This protocol finds the end of a request (see `framing`). Each
request gets one answer. Bytes that arrive between the end of a request and its answer are never parsed: pipelining is
not supported.
"""

from __future__ import annotations

import asyncio
import enum
import urllib.parse
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Any, Final

import httptools
import structlog
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from image_builder.http import framing, head_limits
from image_builder.http.answer_cycle import AnswerCycle, AnswerTransport
from image_builder.http.call import CONNECTION
from image_builder.http.connections import Connections
from image_builder.http.errors import Problem
from image_builder.http.request_ids import new_request_id

log = structlog.get_logger()

# Seconds for a client to read the next part of an answer.
_MAX_WRITE_PAUSE: Final = 30.0
# Seconds for a client to read a whole answer, from the first moment at which it reads too slowly.
_MAX_WRITE_SECONDS: Final = 300.0
# Bytes of an answer that this process buffers, besides the kernel's buffer, before the application has to wait.
_WRITE_BUFFER_BYTES: Final = 16 * 1024
# Seconds for which bytes of the client are read and discarded after the last answer, before the connection is closed.
# To close it while the client still sends would reset the connection, and the client could lose the answer.
_LINGER_SECONDS: Final = 2.0

_NOT_HTTP: Final = Problem(400, "The request is not valid HTTP")
_HEAD_TOO_LARGE: Final = Problem(431, "The request's headers are too large")
_HEAD_TOO_SLOW: Final = Problem(408, "The request's headers did not arrive in time")
_TOO_MANY_HEADS: Final = Problem(503, "Too many requests with large headers are arriving", {"Retry-After": "5"})
# The reason phrases of these answers.
_REASONS: Final = {
    400: b"Bad Request",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}


class _State(enum.Enum):
    """The part of the exchange that the next bytes of a connection belong to."""

    HEAD = enum.auto()
    BODY = enum.auto()
    # Bytes after a request that is not answered yet.
    EXTRA = enum.auto()
    # Bytes of a client that has received its last answer.
    DISCARDED = enum.auto()


class ContractProtocol(HttpToolsProtocol):
    """uvicorn's protocol with strict framing, limits, and errors in the format of the API."""

    server_state: Connections
    cycle: AnswerCycle | None  # type: ignore[assignment]  # None until the first request, which uvicorn's own hint omits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._state = _State.HEAD
        self._head = b""
        self._counted_head_bytes = 0
        self._decoder: framing.LengthDecoder | framing.ChunkedDecoder = framing.LengthDecoder(0)
        self._had_body = False
        # Whether bytes arrived that are never parsed: to close at once could then make the client lose the answer.
        self._has_extra_bytes = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None
        self._write_paused_since: float | None = None
        # The time of the event loop at which the last answer was complete.
        self._idle_since = 0.0

    # Called by the transport

    def connection_made(self, transport: Any) -> None:
        """Register the connection and wait for a request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        self._start_head_timer()
        self.server_state.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release everything that belongs to the connection."""
        self.server_state.remove(self)
        self._cancel_timers()
        self._unset_keepalive_if_required()
        self._count_head_bytes(0)
        super().connection_lost(exc)
        # The request refers to its connection: without this line, both stay in memory until a garbage collection.
        self.cycle = None

    def data_received(self, data: bytes) -> None:
        """Process bytes of the client."""
        if self._state is _State.HEAD:
            self._read_head(data)
        elif self._state is _State.BODY:
            self._read_body(data)
        elif self._state is _State.EXTRA:
            self._ignore_extra_bytes()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's protocols may return it
        """Handle that the client sends no more bytes. True keeps the connection open until its request is answered."""
        if self._state is not _State.EXTRA:
            return False
        if self.cycle is not None:
            self.cycle.keep_alive = False
        return True

    def pause_writing(self) -> None:
        """Limit the time until a client that reads its answer too slowly has read more."""
        super().pause_writing()
        now = self.loop.time()
        if self._write_paused_since is None:
            self._write_paused_since = now
        remaining = self._write_paused_since + _MAX_WRITE_SECONDS - now
        self._write_timer = self._call_later(max(min(_MAX_WRITE_PAUSE, remaining), 0), self._abort_slow_reader)

    def resume_writing(self) -> None:
        """Continue to write, because the client has read enough of its answer."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    # Called by the server and the application

    @property
    def is_idle(self) -> bool:
        """Whether no request is running and none has begun to arrive."""
        return not self._head and (self.cycle is None or self.cycle.response_complete)

    @property
    def was_used(self) -> bool:
        """Whether a request has arrived on the connection."""
        return self.cycle is not None

    def mark_identified(self) -> None:
        """Record that the current request has a valid identity (see Connections)."""
        self.server_state.mark_identified(self)

    def close_with_answer(self) -> None:
        """Close the connection after the answer to the current request; its headers announce that."""
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close the connection: at once if it is idle, otherwise after the current or arriving request."""
        if not self._head:
            super().shutdown()

    def close_gently(self) -> None:
        """Close the connection in a way that lets a client that still sends bytes read its answer."""
        if self.transport.is_closing() or self._state is _State.DISCARDED:
            return
        can_close_now = self._state is _State.EXTRA and self._decoder.done and not self._has_extra_bytes
        self._state = _State.DISCARDED
        if can_close_now:
            self.transport.close()
            return
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._linger_timer = self._call_later(_LINGER_SECONDS, self.transport.close)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been idle for too long; abort it if its client has not read its answer.

        The timer goes on while requests come: to start one for each request would take longer.
        """
        self.timeout_keep_alive_task = None
        if self._head or self._state is not _State.HEAD:
            return  # the end of the current request starts the timer again
        remaining = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if remaining > 0:
            self._start_keep_alive_timer(remaining)
        elif self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def on_response_complete(self) -> None:
        """Wait for the next request after an answer, unless the connection is closed with that answer."""
        self.server_state.total_requests += 1
        self._write_paused_since = None
        if self.cycle is not None:
            self.cycle.scope = {}  # type: ignore[typeddict-item]  # an idle connection must not keep its last request in memory
        if self.transport.is_closing() or self._state is _State.DISCARDED:
            return
        self._state = _State.HEAD
        self.server_state.mark_idle(self)
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._start_keep_alive_timer(self.timeout_keep_alive)

    # Reading a request

    def _read_head(self, data: bytes) -> None:
        if not self._head:
            data = data.lstrip(b"\r\n")  # RFC 9112, section 2.2
            if not data:
                return
        is_first_part = not self._head
        self._head += data
        end = self._head.find(framing.END_OF_HEAD)
        if (end if end >= 0 else len(self._head)) > head_limits.MAX_HEAD_BYTES:
            self._refuse(_HEAD_TOO_LARGE)
        elif end >= 0:
            self._start_request(self._head[:end], self._head[end + len(framing.END_OF_HEAD) :])
        elif not framing.may_become_head(self._head):
            self._refuse(_NOT_HTTP)
        else:
            if is_first_part:  # most heads arrive whole, and need no timer
                self._start_head_timer()
            self._count_head_bytes(max(len(self._head) - head_limits.ORDINARY_HEAD_BYTES, 0))
            if self.server_state.incomplete_head_bytes > head_limits.MAX_INCOMPLETE_HEAD_BYTES:
                self._refuse(_TOO_MANY_HEADS)

    def _start_request(self, raw: bytes, extra: bytes) -> None:
        """Run the application for a request whose head is complete; `extra` are the bytes after the head."""
        try:
            head = framing.parse_head(raw)
            url = httptools.parse_url(head.target)
        except framing.TooManyFieldsError:
            self._refuse(_HEAD_TOO_LARGE)
            return
        except (framing.FramingError, httptools.HttpParserError):
            self._refuse(_NOT_HTTP)
            return
        raw_path = url.path or b"/"
        path = raw_path.decode("ascii")
        self._head = b""
        self._count_head_bytes(0)
        self._cancel_head_timer()
        self.server_state.mark_busy(self)
        scope: Any = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": head.version,
            "method": head.method.decode("ascii"),
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            "path": urllib.parse.unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": url.query or b"",
            "headers": head.headers,
            "state": self.app_state.copy(),
            CONNECTION: self,
        }
        self.cycle = AnswerCycle(
            scope=scope,
            transport=AnswerTransport(self),  # type: ignore[arg-type]  # it has the methods that uvicorn calls
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=head.expects_continue,
            keep_alive=head.keep_alive and not self.server_state.is_ending,
            on_response=self.on_response_complete,
        )
        self._decoder = framing.create_body_decoder(head)
        self._had_body = not self._decoder.done
        self._state = _State.BODY
        self._read_body(extra)
        # The application runs also if the body is invalid, and then learns that the body ended early.
        self._start_asgi_task(self.cycle, self.app)

    def _read_body(self, data: bytes) -> None:
        cycle = self.cycle
        assert cycle is not None  # noqa: S101 - for the type checker
        try:
            body, extra = self._decoder.feed(data)
        except framing.FramingError:
            self._state = _State.EXTRA
            cycle.end_body_early()
            return
        cycle.known_size = self._decoder.known_size
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        if data:
            cycle.waiting_for_100_continue = False
            cycle.message_event.set()
        if self._decoder.done:
            self._state = _State.EXTRA
            cycle.more_body = False
            cycle.message_event.set()
            if extra:
                self._ignore_extra_bytes()

    def _ignore_extra_bytes(self) -> None:
        """Close the connection after the answer, because bytes that arrive before the answer are never parsed."""
        self._has_extra_bytes = True
        self.close_with_answer()
        self.flow.pause_reading()

    def _refuse(self, problem: Problem) -> None:
        """Answer a request with an unusable head, and close the connection."""
        head, self._head = self._head, b""
        self._count_head_bytes(0)
        self._cancel_head_timer()
        # The metrics are the application's, so it counts the request.
        line = framing.parse_faulty_request_line(head)
        count_refused = getattr(self.app, "count_refused", None)
        if count_refused is not None and line is not None:
            count_refused(*line, problem.status)
        request_id = new_request_id()
        log.info("request refused: unusable request head", status=problem.status, request_id=request_id)
        # Bytes after a request with a body that are no request are probably more of that body: they get no answer.
        if not self._had_body or line is not None:
            self.transport.write(_encode_answer(problem, request_id))
        self.close_gently()

    # Timers and counts

    def _start_head_timer(self) -> None:
        self._cancel_head_timer()
        self._head_timer = self._call_later(head_limits.HEAD_TIMEOUT, partial(self._refuse, _HEAD_TOO_SLOW))

    def _start_keep_alive_timer(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self._call_later(seconds, self.timeout_keep_alive_handler)

    def _call_later(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Schedule a call without the context of the current request, which would keep the request in memory."""
        return self.loop.call_later(seconds, call, context=Context())

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _cancel_timers(self) -> None:
        self._cancel_head_timer()
        for timer in (self._write_timer, self._linger_timer):
            if timer is not None:
                timer.cancel()

    def _abort_slow_reader(self) -> None:
        log.info("connection aborted: the client does not read its answer")
        self.transport.abort()

    def _count_head_bytes(self, size: int) -> None:
        self.server_state.incomplete_head_bytes += size - self._counted_head_bytes
        self._counted_head_bytes = size


def _encode_answer(problem: Problem, request_id: str) -> bytes:
    body = problem.body
    headers = b"".join(
        b"%s: %s\r\n" % (name.lower().encode(), value.encode()) for name, value in problem.headers.items()
    )
    return (
        b"HTTP/1.1 %d %s\r\n"
        b"content-type: application/json\r\n"
        b"content-length: %d\r\n"
        b"x-rh-insights-request-id: %s\r\n"
        b"x-content-type-options: nosniff\r\n"
        b"cache-control: no-store\r\n"
        b"%s"
        b"connection: close\r\n\r\n%s"
        % (problem.status, _REASONS[problem.status], len(body), request_id.encode(), headers, body)
    )
