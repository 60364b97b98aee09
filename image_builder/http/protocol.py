"""The HTTP server's protocol, for what happens before there is a request, and between two.

What is no HTTP gets the contract's error body, and nobody holds memory or a connection with headers that do not end.
When the server ends, no connection is closed on which a request has begun.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import Any, Final

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from image_builder.http.errors import Problem

log = structlog.get_logger()

MOST_HEADER_BYTES: Final = 64 * 1024
_SECONDS_FOR_HEADERS: Final = 30.0
_NOT_HTTP: Final = Problem(400, "The request is not valid HTTP")
_TOO_LARGE: Final = Problem(431, "The request's headers are too large")
_LATE: Final = Problem(408, "The request's headers did not arrive in time")
# In front of the path, where a client writes whole addresses.
_PLACE: Final = re.compile(rb"\A[a-z]+://[^/]*", re.IGNORECASE)
# An address with a character that none can have, as far as that.
_FAULTY: Final = re.compile(rb"(?:\A|\n)[A-Z]+ ([!-~]+)[^!-~ ]")
_REASONS: Final = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class Connections(ServerState):
    """A server's open connections; once it is `ending`, each is closed with the next answer."""

    ending = False


class ContractProtocol(HttpToolsProtocol):
    """uvicorn's protocol with our limits and our words."""

    _in_headers = True
    _header_bytes = 0
    # Some of a request's headers are there, and not all.
    _begun = False
    # Of the request whose headers are awaited, as far as it is there.
    url = b""
    _clock: asyncio.TimerHandle | None = None
    # The request with whose answer we close the connection, though the client would keep it.
    _last: RequestResponseCycle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for headers."""
        super().connection_made(transport)
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in bytes, and no more than a request's headers may have until they end.

        uvicorn's own says of what is refused less than ours, and does not know the request's id.
        """
        if self._in_headers:
            self._header_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # there is nothing that we change to: the request is answered as it is
        except httptools.HttpParserError as error:
            if isinstance(error, httptools.HttpParserInvalidURLError) and not self.url:
                self.url = _before_the_fault(data)
            self._refuse(_NOT_HTTP)
            return
        if self._in_headers and self._header_bytes > MOST_HEADER_BYTES and not self.transport.is_closing():
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._begun = True
        self._wait_for_headers()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A request's headers are there; of one that cannot be read the application never knows."""
        earlier = self.cycle
        super().on_headers_complete()
        self._in_headers = self._begun = False
        self._stop_clock()
        if getattr(self.server_state, "ending", False):
            if earlier is not None and earlier is self._last and not earlier.response_started:
                earlier.keep_alive = True  # the new one waits for its answer
            self.close_with_answer()

    def on_message_complete(self) -> None:
        """What comes now are the headers of the next request; uvicorn limits how long it may be awaited."""
        super().on_message_complete()
        self._in_headers = True
        self._header_bytes = 0
        self.url = b""

    @property
    def is_idle(self) -> bool:
        """Whether there is no request on it, not even the beginning of one."""
        return not self._begun and (self.cycle is None or self.cycle.response_complete)

    @property
    def was_used(self) -> bool:
        """Whether there was a request on it."""
        return self.cycle is not None

    def close_with_answer(self) -> None:
        """Close it with the answer to the last request that is on it; the client is told."""
        if self.cycle is not None and not self._begun and self.cycle.keep_alive:
            self.cycle.keep_alive = False
            self._last = self.cycle

    def shutdown(self) -> None:
        """Close it, at once where there is no request on it; none that comes now is waited for."""
        if not self._begun:
            self._last = None
            super().shutdown()

    def _wait_for_headers(self) -> None:
        self._stop_clock()
        self._in_headers = True
        self._clock = self.loop.call_later(_SECONDS_FOR_HEADERS, self._refuse, _LATE)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _refuse(self, problem: Problem) -> None:
        self._stop_clock()
        body = problem.body
        # The application is told, so that it counts; of a request with headers it knows.
        refused = getattr(self.app, "refused", None)
        if refused is not None and self._in_headers and self.url:
            path = _PLACE.sub(b"", self.url)
            refused(self.parser.get_method().decode("latin-1"), path.decode("latin-1"), problem.status)
        request_id = os.urandom(16).hex()
        log.info("refused before there was a request", status=problem.status, request_id=request_id)
        self.transport.write(
            b"HTTP/1.1 %d %s\r\n"
            b"content-type: application/json\r\n"
            b"content-length: %d\r\n"
            b"x-rh-insights-request-id: %s\r\n"
            b"x-content-type-options: nosniff\r\n"
            b"cache-control: no-store\r\n"
            b"connection: close\r\n\r\n%s"
            % (problem.status, _REASONS[problem.status], len(body), request_id.encode(), body)
        )
        self.transport.close()


def _before_the_fault(data: bytes) -> bytes:
    """The beginning of the address that the parser refused: it does not tell."""
    found = _FAULTY.search(data)
    return b"" if found is None else found[1]
