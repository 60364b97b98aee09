"""The HTTP transport of error reports. It imports sentry-sdk, so import it only if reports are enabled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sentry_sdk.consts import EndpointType
from sentry_sdk.transport import HttpTransport
from urllib3 import BaseHTTPResponse, HTTPResponse, PoolManager

from adapters.http.deadline_connections import DEADLINE_POOLS
from adapters.http.telemetry_sessions import Collector, discard_body

# Seconds for one attempt to send a report.
_ATTEMPT_TIMEOUT: Final = 5.0
# The only header that sentry-sdk gets to see. Sentry's rate limit headers would take memory for as long as the server
# wants.
_RETRY_AFTER: Final = "Retry-After"


class ReportTransport(HttpTransport):
    """sentry-sdk's transport with a deadline for each request. It discards bodies of answers and follows no redirects.

    A redirect would send tracebacks and the key of the DSN to an address that operators have not configured.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self._collector = Collector("error report server", "error reports")

    def _make_pool(self) -> PoolManager:
        pool = super()._make_pool()
        pool.pool_classes_by_scheme = DEADLINE_POOLS
        return pool

    def _request(
        self, method: str, endpoint_type: EndpointType, body: Any, headers: Mapping[str, str]
    ) -> BaseHTTPResponse:
        url = self._auth.get_api_url(endpoint_type)
        with self._collector.request(_ATTEMPT_TIMEOUT):
            answer = self._pool.request(
                method,
                url,
                body=body,
                headers=headers,
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=_ATTEMPT_TIMEOUT,
            )
            discard_body(answer)
        self._collector.record_answer(answer.status)
        headers_kept = {_RETRY_AFTER: answer.headers[_RETRY_AFTER]} if _RETRY_AFTER in answer.headers else {}
        return HTTPResponse(b"", headers=headers_kept, status=answer.status)
