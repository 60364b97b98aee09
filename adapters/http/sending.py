"""HTTP for libraries that send telemetry to a collector whose answers are not needed.

Such libraries wait for each piece of an answer, however many there are, hold the answer in memory as a whole, and log
every failure. Here a request ends in time, whatever the collector sends, no body is kept, and the log tells once that
the collector is away.
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

from adapters.http.exchange import NO_COOKIES
from adapters.http.watchdog import Watch, WatchedAdapter

log = structlog.get_logger()

# Bytes of an answer that are read, so that its connection can be used again; with a longer one the connection ends.
_LONGEST_READ: Final = 16 * 1024


class Collector:
    """Where telemetry is sent to; logs when that begins to fail, and when it works again. Thread-safe."""

    def __init__(self, name: str, telemetry: str) -> None:
        """`name` is such as `trace collector`, and `telemetry` what it gets, such as `spans`."""
        self._name = name
        self._telemetry = telemetry
        self._is_away = False
        self._lock = Lock()

    @contextmanager
    def request(self, seconds: float) -> Iterator[None]:
        """A request over watched connections, which ends within so many seconds.

        Raises requests.Timeout where it would not, and logs any error.
        """
        try:
            with Watch(time.monotonic() + seconds) as watch:
                yield
        except Exception as error:
            self._failed("Timeout" if watch.expired else type(error).__name__)
            if watch.expired:
                raise requests.Timeout from error
            raise
        if watch.expired:  # an answer that lasts until its connection ends looks whole
            self._failed("Timeout")
            raise requests.Timeout

    def answered(self, status: int) -> None:
        """Log what an answer means."""
        if not 200 <= status < 300:
            self._failed(f"status {status}")
            return
        with self._lock:
            was_away, self._is_away = self._is_away, False
        if was_away:
            log.info(f"{self._name} available again")

    def _failed(self, cause: str) -> None:
        with self._lock:
            was_away, self._is_away = self._is_away, True
        if not was_away:
            log.warning(f"{self._name} unavailable: {self._telemetry} are dropped", cause=cause)


class SendingSession(requests.Session):
    """A session for one collector. Its answers hold status and headers, and no body.

    Proxies and authorities come from the process' environment, as everywhere in `requests`.
    """

    def __init__(self, collector: Collector) -> None:
        super().__init__()
        self._collector = collector
        self.cookies.set_policy(NO_COOKIES)
        adapter = WatchedAdapter(pool_connections=1, pool_maxsize=1)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        """See requests; `timeout` (seconds) is for the request as a whole, and redirects are not followed.

        Raises requests.RequestException.
        """
        with self._collector.request(options["timeout"]):
            response = super().request(method, url, *args, **{**options, "stream": True, "allow_redirects": False})
            discard_body(response.raw)
        self._collector.answered(response.status_code)
        return response


def discard_body(response: BaseHTTPResponse) -> None:
    """Read a short body, and close the connection of a long one."""
    try:
        response.read(_LONGEST_READ, decode_content=False)
    finally:
        response.close()
