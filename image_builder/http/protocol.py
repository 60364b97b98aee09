"""The HTTP server's protocol, for what happens before there is a request.

What is no HTTP gets the contract's error body, and nobody holds memory or a connection with headers that do not end.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, Final

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from image_builder.http.errors import Problem

log = structlog.get_logger()

MOST_HEADER_BYTES: Final = 64 * 1024
_SECONDS_FOR_HEADERS: Final = 30.0
_NOT_HTTP: Final = Problem(400, "The request is not valid HTTP")
_TOO_LARGE: Final = Problem(431, "The request's headers are too large")
_LATE: Final = Problem(408, "The request's headers did not arrive in time")
_REASONS: Final = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class ContractProtocol(HttpToolsProtocol):
    """uvicorn's protocol with our limits and our words."""

    _in_headers = True
    _header_bytes = 0
    # Of the request whose headers are awaited, as far as it is there.
    url = b""
    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for headers."""
        super().connection_made(transport)
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in bytes, and no more than a request's headers may have until they end."""
        if self._in_headers:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._in_headers and self._header_bytes > MOST_HEADER_BYTES and not self.transport.is_closing():
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._wait_for_headers()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A request's headers are there."""
        self._in_headers = False
        self._stop_clock()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What comes now are the headers of the next request; uvicorn limits how long it may be awaited."""
        super().on_message_complete()
        self._in_headers = True
        self._header_bytes = 0
        self.url = b""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words
        """Refuse what could not be parsed, and close."""
        self._refuse(_NOT_HTTP)

    def _wait_for_headers(self) -> None:
        self._stop_clock()
        self._in_headers = True
        self._clock = self.loop.call_later(_SECONDS_FOR_HEADERS, self._refuse, _LATE)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _refuse(self, problem: Problem) -> None:
        body = problem.body
        # The application is told, so that it counts; of a request with headers it knows.
        refused = getattr(self.app, "refused", None)
        if refused is not None and self._in_headers and self.url:
            refused(self.parser.get_method().decode("latin-1"), self.url.decode("latin-1"), problem.status)
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
