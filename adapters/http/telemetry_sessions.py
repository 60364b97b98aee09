"""HTTP sessions for libraries that send telemetry (traces, error reports) to a collector.

Such libraries set no deadline for a whole answer, hold the answer in memory, and log every failure. With the sessions
of this module, a request ends at its deadline whatever the collector sends, the body of the answer is discarded, and
one log event reports that the collector is unavailable.
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

from adapters.http.call_deadline import CallDeadline, DeadlineAdapter
from adapters.http.exchange import NO_COOKIES

log = structlog.get_logger()

# Bytes: an answer up to this size is read so that its connection can be reused; after a longer one it is closed.
_MAX_DISCARDED: Final = 16 * 1024


class Collector:
    """The availability of a receiver of telemetry; its changes are logged. It is thread-safe."""

    def __init__(self, name: str, telemetry: str) -> None:
        """Both are words for log events: `name` such as `trace collector`, `telemetry` such as `spans`."""
        self._name = name
        self._telemetry = telemetry
        self._is_unavailable = False
        self._lock = Lock()

    @contextmanager
    def request(self, seconds: float) -> Iterator[None]:
        """Limit the request within the context to `seconds`, and log its failure. Raises requests.Timeout."""
        try:
            with CallDeadline(time.monotonic() + seconds) as call:
                yield
        except Exception as error:
            self._record_failure("Timeout" if call.has_expired else type(error).__name__)
            if call.has_expired:
                raise requests.Timeout from error
            raise
        if call.has_expired:  # an answer without a length looks complete when its connection ends
            self._record_failure("Timeout")
            raise requests.Timeout

    def record_answer(self, status: int) -> None:
        """Record the status of an answer; one other than 2xx means that the collector is unavailable."""
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


class TelemetrySession(requests.Session):
    """A session for one collector. Its answers have a status and headers, but no body.

    Proxies and certificate authorities come from the environment, as usual in `requests`.
    """

    def __init__(self, collector: Collector) -> None:
        super().__init__()
        self._collector = collector
        self.cookies.set_policy(NO_COOKIES)
        adapter = DeadlineAdapter(pool_connections=1, pool_maxsize=1)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        """See requests; `timeout` (seconds) limits the whole request, and redirects are not followed.

        Raises requests.RequestException.
        """
        with self._collector.request(options["timeout"]):
            response = super().request(method, url, *args, **{**options, "stream": True, "allow_redirects": False})
            discard_body(response.raw)
        self._collector.record_answer(response.status_code)
        return response


def discard_body(response: BaseHTTPResponse) -> None:
    """Discard the body of an answer. The connection of a short one can be reused; that of a long one is closed."""
    try:
        response.read(_MAX_DISCARDED, decode_content=False)
    finally:
        response.close()
