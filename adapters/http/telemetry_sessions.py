"""HTTP sessions for libraries that send telemetry (traces, error reports) to a collector.

Such libraries set no deadline for a whole answer, hold the answer in memory, and log every failure. With the sessions
of this module, a request ends at its deadline even if the collector answers slowly, the body of the answer is
discarded, and an outage of the collector is logged twice: when it starts and when it ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final

import requests
import structlog
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from adapters.http.bounded_responses import NoRedirectSession
from adapters.http.call_deadline import CallDeadline
from adapters.http.deadline_connections import DeadlineAdapter
from adapters.http.exchange import NO_COOKIES

log = structlog.get_logger()

# Bytes. A connection can be reused only after its answer has been read completely. If the body is longer than this, the
# connection is closed instead.
_MAX_BODY_READ: Final = 16 * 1024


class Collector:
    """Logs when a collector, the server that receives telemetry, becomes unavailable or available again.

    Each sender wraps its request in `request`, and then calls `record_answer`. It is thread-safe.
    """

    def __init__(self, name: str, telemetry: str) -> None:
        """Both are words for log events: `name` such as `trace collector`, `telemetry` a plural such as `spans`."""
        self._name = name
        self._telemetry = telemetry
        self._is_unavailable = False
        self._lock = Lock()

    @contextmanager
    def request(self, seconds: float) -> Iterator[None]:
        """Limit the request inside this context manager to `seconds`, with its answer's body; log if it fails.

        The request must use a DeadlineAdapter or the DEADLINE_POOLS. Raises requests.Timeout at the deadline. Other
        errors of the request are raised as they are.
        """
        try:
            with CallDeadline(time.monotonic() + seconds) as deadline:
                yield
        except Exception as error:
            self._record_failure("Timeout" if deadline.has_expired else type(error).__name__)
            if deadline.has_expired:
                raise requests.Timeout from error
            raise
        # The deadline ends the connection. An answer without Content-Length then looks complete, and raises no error.
        if deadline.has_expired:
            self._record_failure("Timeout")
            raise requests.Timeout

    def record_answer(self, status: int) -> None:
        """Record the HTTP status of an answer. 2xx means that the collector is available, any other that it is not."""
        if not 200 <= status < 300:
            self._record_failure(f"status {status}")
            return
        with self._lock:
            was_unavailable, self._is_unavailable = self._is_unavailable, False
        if was_unavailable:
            log.info(f"{self._name} available again")

    def _record_failure(self, cause: str) -> None:
        with self._lock:
            was_unavailable, self._is_unavailable = self._is_unavailable, True
        if not was_unavailable:
            log.warning(f"{self._name} unavailable: {self._telemetry} are dropped", cause=cause)


class TelemetrySession(NoRedirectSession):
    """A session for one collector. The responses that it returns have a status and headers, but no body.

    As in any session of `requests`, environment variables (`HTTPS_PROXY`, `REQUESTS_CA_BUNDLE`) set proxies and
    certificate authorities.
    """

    def __init__(self, collector: Collector) -> None:
        super().__init__()
        self._collector = collector
        self.cookies.set_policy(NO_COOKIES)
        adapter = DeadlineAdapter(pool_connections=1, pool_maxsize=1)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        """Send a request like `requests.Session.request`, but do not follow redirects.

        The keyword argument `timeout` is required. It is a number of seconds for the whole request, answer included.

        Raises requests.RequestException.
        """
        with self._collector.request(options["timeout"]):
            response = super().request(method, url, *args, **{**options, "stream": True, "allow_redirects": False})
            try:
                discard_body(response.raw)
            except HTTPError as error:
                raise requests.ConnectionError from error
        self._collector.record_answer(response.status_code)
        return response


def discard_body(response: BaseHTTPResponse) -> None:
    """Discard the body of an answer. The connection can be reused if the body has at most 16 KiB; else it is closed.

    Raises urllib3.exceptions.HTTPError if the connection fails within the body.
    """
    try:
        response.read(_MAX_BODY_READ, decode_content=False)
    finally:
        response.close()
