"""How sentry-sdk sends reports. It is imported where there is a server to report to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sentry_sdk.consts import EndpointType
from sentry_sdk.transport import HttpTransport
from urllib3 import BaseHTTPResponse, HTTPResponse, PoolManager

from adapters.http.sending import Collector, discard_body
from adapters.http.watchdog import WATCHED_POOLS

# Seconds for one try to send a report.
_PATIENCE: Final = 5.0
# The header that is obeyed. Others of Sentry's would be remembered for as long as the server wants, one by one.
_RETRY_AFTER: Final = "Retry-After"


class ReportTransport(HttpTransport):
    """Sentry's own transport, but a request ends in time, its answer's body is not kept, and no redirect is followed.

    A redirect would take tracebacks and the key of the DSN to an address that no operator has named.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self._collector = Collector("error report server", "error reports")

    def _make_pool(self) -> PoolManager:
        pool = super()._make_pool()
        pool.pool_classes_by_scheme = WATCHED_POOLS
        return pool

    def _request(
        self, method: str, endpoint_type: EndpointType, body: Any, headers: Mapping[str, str]
    ) -> BaseHTTPResponse:
        url = self._auth.get_api_url(endpoint_type)
        with self._collector.request(_PATIENCE):
            answer = self._pool.request(
                method,
                url,
                body=body,
                headers=headers,
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=_PATIENCE,
            )
            discard_body(answer)
        self._collector.answered(answer.status)
        obeyed = {_RETRY_AFTER: answer.headers[_RETRY_AFTER]} if _RETRY_AFTER in answer.headers else {}
        return HTTPResponse(b"", headers=obeyed, status=answer.status)
