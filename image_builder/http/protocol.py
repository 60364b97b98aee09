"""The HTTP server's protocol: one request at a time on a connection, and bounded memory, time and connections.

uvicorn runs the application and writes the answer. Where a request ends is decided here (see `framing`): one request
gets one answer, and bytes that arrive behind it before it is answered are never parsed. Pipelining is not supported.
"""

from __future__ import annotations

import asyncio
import enum
import os
import urllib.parse
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Any, Final

import httptools
import structlog
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from image_builder.http import framing, header_limits
from image_builder.http.call import ANNOUNCED, CONNECTION
from image_builder.http.connections import Connections
from image_builder.http.errors import Problem

log = structlog.get_logger()

# Seconds for a client to take in the next part of an answer, and the whole of it.
_SECONDS_FOR_A_PART: Final = 30.0
_SECONDS_FOR_AN_ANSWER: Final = 300.0
# Bytes of an answer that are held for the client beyond what the kernel holds, without the request going on.
_UNREAD: Final = 16 * 1024
# Seconds for which a client that still sends is read from before its connection is closed. Closed at once, it would be
# reset, and could lose the answer before it has read it.
_LINGER: Final = 2.0

_NOT_HTTP: Final = Problem(400, "The request is not valid HTTP")
_TOO_LARGE: Final = Problem(431, "The request's headers are too large")
_LATE: Final = Problem(408, "The request's headers did not arrive in time")
_BUSY: Final = Problem(503, "Too many requests with large headers are arriving", {"Retry-After": "5"})
_REASONS: Final = {
    400: b"Bad Request",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}


class _State(enum.Enum):
    """What the next bytes of a connection belong to."""

    HEAD = enum.auto()
    BODY = enum.auto()
    # Bytes behind a request that is not answered yet.
    BEHIND = enum.auto()
    # Bytes of a client that has got its last answer.
    DISCARDED = enum.auto()


class _AnswerTransport:
    """Where a RequestResponseCycle writes its answer; closing it leaves the client time to read the answer."""

    def __init__(self, protocol: ContractProtocol) -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        self._protocol.transport.write(data)

    def close(self) -> None:
        self._protocol.close_gently()

    def is_closing(self) -> bool:
        return self._protocol.transport.is_closing()


class _Cycle(RequestResponseCycle):
    """uvicorn's request and answer; a connection whose request body was not read is closed with the answer."""

    # How many bytes of its body are known to come.
    announced = 0
    _broken = False

    def body_is_broken(self) -> None:
        """The body cannot be read to its end: the application gets to know that no more of it comes."""
        self._broken = True
        self.message_event.set()

    async def receive(self) -> Any:
        message: Any = {} if self._broken else await super().receive()
        return {"type": "http.disconnect"} if self._broken else {**message, ANNOUNCED: self.announced}

    async def send(self, message: Any) -> None:
        if self.more_body and not self.response_started:
            self.keep_alive = False
        await super().send(message)
        # The request, and what it has reserved, lasts until the client has read the answer but for a small rest.
        if self.response_complete and self.flow.write_paused and not self.disconnected:
            await self.flow.drain()


class ContractProtocol(HttpToolsProtocol):
    """uvicorn's protocol with framing, limits and error bodies of our own."""

    server_state: Connections
    cycle: _Cycle | None  # type: ignore[assignment]  # None until the first request, which uvicorn's own hint omits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._state = _State.HEAD
        self._head = b""
        self._counted_head_bytes = 0
        self._decoder: framing.LengthDecoder | framing.ChunkedDecoder = framing.LengthDecoder(0)
        self._had_body = False
        # Bytes arrived that are never read: closed at once, the client could lose the answer.
        self._unread = False
        self._head_clock: asyncio.TimerHandle | None = None
        self._write_clock: asyncio.TimerHandle | None = None
        self._linger_clock: asyncio.TimerHandle | None = None
        self._writing_since: float | None = None

    # The transport's calls

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_UNREAD)
        self._wait_for_head()
        self.server_state.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        self.server_state.closed(self)
        self._stop_clocks()
        self._count_head_bytes(0)
        super().connection_lost(exc)
        # A request knows its connection: without this, both would stay until the garbage collector finds them.
        self.cycle = None

    def data_received(self, data: bytes) -> None:
        """Take in bytes of the client."""
        if self._state is _State.HEAD:
            self._read_head(data)
        elif self._state is _State.BODY:
            self._read_body(data)
        elif self._state is _State.BEHIND:
            self._ignore_behind()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's protocols may return it
        """The client sends no more; True where it may still wait for an answer."""
        if self._state is not _State.BEHIND:
            return False
        if self.cycle is not None:
            self.cycle.keep_alive = False
        return True

    def pause_writing(self) -> None:
        """The client reads more slowly than the answer is written: it is given some time."""
        super().pause_writing()
        now = self.loop.time()
        if self._writing_since is None:
            self._writing_since = now
        left = self._writing_since + _SECONDS_FOR_AN_ANSWER - now
        self._write_clock = self._later(max(min(_SECONDS_FOR_A_PART, left), 0), self._give_up_writing)

    def resume_writing(self) -> None:
        """The client has read on."""
        if self._write_clock is not None:
            self._write_clock.cancel()
            self._write_clock = None
        super().resume_writing()

    # The server's and the application's calls

    @property
    def is_idle(self) -> bool:
        """Whether there is no request on it, not even the beginning of one."""
        return not self._head and (self.cycle is None or self.cycle.response_complete)

    @property
    def was_used(self) -> bool:
        """Whether there was a request on it."""
        return self.cycle is not None

    def identified(self) -> None:
        """The request on it has shown a valid identity."""
        self.server_state.identified(self)

    def close_with_answer(self) -> None:
        """Close it with the answer to the request that is on it; the client is told."""
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close it, at once where there is no request on it; a request that has begun to arrive is waited for."""
        if not self._head:
            super().shutdown()

    def close_gently(self) -> None:
        """Close it so that the client can read the answer, whatever it still sends."""
        if self.transport.is_closing() or self._state is _State.DISCARDED:
            return
        clean = self._state is _State.BEHIND and self._decoder.done and not self._unread
        self._state = _State.DISCARDED
        if clean:
            self.transport.close()
            return
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._linger_clock = self._later(_LINGER, self.transport.close)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been idle for long; one whose client has not even read its answer is cut."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def on_response_complete(self) -> None:
        """An answer was written: wait for the next request, unless the connection is closed with it."""
        self.server_state.total_requests += 1
        self._writing_since = None
        if self.cycle is not None:
            self.cycle.scope = {}  # type: ignore[typeddict-item]  # an idle connection keeps nothing of its last request
        if self.transport.is_closing() or self._state is _State.DISCARDED:
            return
        self._state = _State.HEAD
        self.server_state.idle(self)
        self.flow.resume_reading()
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self._later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    # Reading a request

    def _read_head(self, data: bytes) -> None:
        if not self._head:
            data = data.lstrip(b"\r\n")  # RFC 9112, section 2.2
            if not data:
                return
            self._unset_keepalive_if_required()
            self._wait_for_head()
        self._head += data
        end = self._head.find(framing.END_OF_HEAD)
        if (end if end >= 0 else len(self._head)) > header_limits.MOST_HEADER_BYTES:
            self._refuse(_TOO_LARGE)
        elif end >= 0:
            self._begin(self._head[:end], self._head[end + len(framing.END_OF_HEAD) :])
        elif not framing.may_become_head(self._head):
            self._refuse(_NOT_HTTP)
        else:
            self._count_head_bytes(max(len(self._head) - header_limits.ORDINARY_HEADER_BYTES, 0))
            if self.server_state.bytes_of_heads > header_limits.MOST_INCOMPLETE_BYTES:
                self._refuse(_BUSY)

    def _begin(self, raw: bytes, behind: bytes) -> None:
        """Run the application for a request whose head is whole."""
        try:
            head = framing.parse_head(raw)
            url = httptools.parse_url(head.target)
        except framing.TooManyFieldsError:
            self._refuse(_TOO_LARGE)
            return
        except (framing.FramingError, httptools.HttpParserError):
            self._refuse(_NOT_HTTP)
            return
        raw_path = url.path or b"/"
        path = raw_path.decode("ascii")
        self._head = b""
        self._count_head_bytes(0)
        self._stop_head_clock()
        self.server_state.busy(self)
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
        self.cycle = _Cycle(
            scope=scope,
            transport=_AnswerTransport(self),  # type: ignore[arg-type]
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=head.expects_continue,
            keep_alive=head.keep_alive and not self.server_state.ending,
            on_response=self.on_response_complete,
        )
        self._decoder = framing.body_decoder(head)
        self._had_body = not self._decoder.done
        self._state = _State.BODY
        self._read_body(behind)
        # Also where the body is no valid one: the application is told that no more of it comes.
        self._start_asgi_task(self.cycle, self.app)

    def _read_body(self, data: bytes) -> None:
        cycle = self.cycle
        assert cycle is not None  # noqa: S101 - for the type checker
        try:
            body, behind = self._decoder.feed(data)
        except framing.FramingError:
            self._state = _State.BEHIND
            cycle.body_is_broken()
            return
        cycle.announced = self._decoder.announced
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        if data:
            cycle.waiting_for_100_continue = False
            cycle.message_event.set()
        if self._decoder.done:
            self._state = _State.BEHIND
            cycle.more_body = False
            cycle.message_event.set()
            if behind:
                self._ignore_behind()

    def _ignore_behind(self) -> None:
        """Close with the answer: nothing that the client sends before it is the beginning of another request."""
        self._unread = True
        self.close_with_answer()
        self.flow.pause_reading()

    def _refuse(self, problem: Problem) -> None:
        """Answer a request whose head cannot be read, and close."""
        head, self._head = self._head, b""
        self._count_head_bytes(0)
        self._stop_head_clock()
        # The application is told, so that it counts; of a request with a whole head it knows.
        line = framing.request_line(head)
        refused = getattr(self.app, "refused", None)
        if refused is not None and line is not None:
            refused(*line, problem.status)
        request_id = os.urandom(16).hex()
        log.info("request refused by its head", status=problem.status, request_id=request_id)
        # Behind a request with a body, what begins no request is most likely more of that body: no second answer.
        if not self._had_body or line is not None:
            self.transport.write(_answer(problem, request_id))
        self.close_gently()

    # Clocks and counts

    def _wait_for_head(self) -> None:
        self._stop_head_clock()
        self._head_clock = self._later(header_limits.SECONDS_FOR_HEADERS, partial(self._refuse, _LATE))

    def _later(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """A call without the context of the request at hand: the context keeps the request in memory."""
        return self.loop.call_later(seconds, call, context=Context())

    def _stop_head_clock(self) -> None:
        if self._head_clock is not None:
            self._head_clock.cancel()
            self._head_clock = None

    def _stop_clocks(self) -> None:
        self._stop_head_clock()
        for clock in (self._write_clock, self._linger_clock):
            if clock is not None:
                clock.cancel()

    def _give_up_writing(self) -> None:
        log.info("connection cut: the client does not read its answer")
        self.transport.abort()

    def _count_head_bytes(self, size: int) -> None:
        self.server_state.bytes_of_heads += size - self._counted_head_bytes
        self._counted_head_bytes = size


def _answer(problem: Problem, request_id: str) -> bytes:
    body = problem.body
    more = b"".join(b"%s: %s\r\n" % (name.lower().encode(), value.encode()) for name, value in problem.headers.items())
    return (
        b"HTTP/1.1 %d %s\r\n"
        b"content-type: application/json\r\n"
        b"content-length: %d\r\n"
        b"x-rh-insights-request-id: %s\r\n"
        b"x-content-type-options: nosniff\r\n"
        b"cache-control: no-store\r\n"
        b"%s"
        b"connection: close\r\n\r\n%s"
        % (problem.status, _REASONS[problem.status], len(body), request_id.encode(), more, body)
    )
