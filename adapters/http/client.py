"""The HTTP client of all back-ends: pooled connections, deadlines, retries, a circuit breaker, credentials, tracing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson
import requests
import stamina
import structlog

from adapters.http.answer import Answer
from adapters.http.breaker import Breaker
from adapters.http.call_errors import (
    JITTER,
    MAX_PAUSE,
    LateAnswerError,
    NoAnswerError,
    OversizedAnswerError,
    RetryableError,
    RetryAfterError,
    create_retry_policy,
    is_before_sending,
    is_stalled_answer,
)
from adapters.http.exchange import TooLargeError, exchange, new_session
from adapters.http.tokens import TokenRefusedError, Tokens
from ports.deadline import remaining_seconds, until
from ports.meter import NULL_METER, CallOutcome, Meter
from ports.trace import current_trace
from ports.waiting import about_to_wait

__all__ = [
    "DEFAULT_MAX_BYTES",
    "MAX_IDLE",
    "Answer",
    "BackEnd",
    "NoAnswerError",
    "QueryParameters",
    "Timeouts",
    "new_session",
    "path_segment",
]

log = structlog.get_logger()

# The statuses of a gateway that cannot reach the back-end.
_UNAVAILABLE_STATUSES: Final = frozenset({502, 503, 504})

# Seconds: a connection that was idle for longer is not used for a request that the back-end must not get twice.
MAX_IDLE: Final = 0.3
# Bytes of an answer where the call sets no limit of its own. Common answers have some kilobytes.
DEFAULT_MAX_BYTES: Final = 1024 * 1024

QueryParameters = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a connection, between two reads of an answer, and for the whole call with all attempts.

    An earlier deadline of `ports.deadline` shortens all of them.
    """

    connect: float
    read: float
    total: float = 30.0


@dataclass(slots=True)
class _Request:
    method: str
    path: str
    timeouts: Timeouts
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    max_bytes: int = DEFAULT_MAX_BYTES
    # Whether the caller's deadline leaves less time than the timeouts: a timeout is then no failure of the back-end.
    has_short_deadline: bool = False
    # Seconds; None for an idempotent request. See `exchange`.
    max_idle: float | None = None
    # False after the access token was renewed once for this call: more renewals would double its requests.
    may_renew_token: bool = True


class BackEnd:
    """The client of one back-end. It is thread-safe.

    All methods take a `path` below the URL of the back-end. They send `headers` unchanged, and encode the pairs of
    `params` into the query. An answer of more than `max_bytes` bytes counts as no answer.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        connections: int,
        tokens: Tokens | None = None,
        ca_file: str = "",
        proxy: str = "",
        breaker: Breaker | None = None,
        meter: Meter = NULL_METER,
    ) -> None:
        """`name` is for log events, metrics and errors; at most `connections` idle connections are kept.

        `tokens` provides the access tokens that calls are authorized with, None for none. `ca_file` and `proxy` are
        those of `new_session`.
        """
        self.name = name
        self._url = url.rstrip("/")
        self._tokens = tokens
        self._session = new_session(connections, ca_file, proxy)
        self.breaker = breaker or Breaker()
        self._meter = meter
        # How often a request that may be repeated is sent while the back-end is unavailable.
        self.attempts = 3

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def get(
        self,
        path: str,
        timeouts: Timeouts,
        *,
        headers: Mapping[str, str] | None = None,
        params: QueryParameters = (),
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> Answer:
        """Send a GET, again while the back-end is unavailable. Raises NoAnswerError, also for a 429."""
        return self._call_with_retries(_new_request("GET", path, timeouts, None, headers, params, max_bytes))

    def post_idempotent(
        self,
        path: str,
        body: Mapping[str, Any],
        timeouts: Timeouts,
        *,
        headers: Mapping[str, str] | None = None,
        params: QueryParameters = (),
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> Answer:
        """Send a POST that may reach the back-end several times, with retries as in `get`.

        Raises NoAnswerError, also for a 429.
        """
        return self._call_with_retries(_new_request("POST", path, timeouts, body, headers, params, max_bytes))

    def delete(
        self, path: str, timeouts: Timeouts, *, headers: Mapping[str, str] | None = None, params: QueryParameters = ()
    ) -> Answer:
        """Send a DELETE, with retries as in `get`. Raises NoAnswerError, also for a 429."""
        return self._call_with_retries(_new_request("DELETE", path, timeouts, None, headers, params))

    def post_once(
        self,
        path: str,
        body: Mapping[str, Any],
        timeouts: Timeouts,
        *,
        headers: Mapping[str, str] | None = None,
        params: QueryParameters = (),
        max_idle: float = MAX_IDLE,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> Answer:
        """Send a POST that the back-end must not get twice; it is sent again only if no byte of it was written.

        It uses a pooled connection only if that was idle for less than `max_idle` seconds. Raises NoAnswerError.
        """
        request = _new_request("POST", path, timeouts, body, headers, params, max_bytes)
        request.max_idle = max_idle
        with until(timeouts.total):
            return self._call_once(request)

    def _call_with_retries(self, request: _Request) -> Answer:
        """Return the answer after up to `attempts` attempts.

        Raises NoAnswerError; its `sent` says whether the back-end may have received the request in any attempt.
        """
        with until(request.timeouts.total):
            try:
                return self._try_call(request)
            except (RetryableError, RetryAfterError) as error:
                # Only now, because stamina costs a tenth of a successful call.
                return self._retry(request, error)

    def _retry(self, request: _Request, first_error: NoAnswerError) -> Answer:
        """Repeat a call after the error of its first attempt."""
        error: NoAnswerError | None = first_error
        was_sent = first_error.sent
        for attempt in stamina.retry_context(
            on=create_retry_policy(), attempts=self.attempts, wait_initial=0.05, wait_max=MAX_PAUSE, wait_jitter=JITTER
        ):
            with attempt:
                if error is not None:  # the first attempt
                    failed, error = error, None
                    raise failed
                try:
                    answer = self._try_call(request)
                except NoAnswerError as next_error:
                    was_sent = next_error.sent = next_error.sent or was_sent
                    raise
        return answer

    def _try_call(self, request: _Request) -> Answer:
        """Make one attempt. Raises NoAnswerError, also for the statuses after which another attempt may succeed."""
        answer = self._call_once(request)
        if answer.status in _UNAVAILABLE_STATUSES:
            raise RetryableError(self.name, sent=True)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise RetryAfterError(self.name, answer.retry_after)
        return answer

    def _call_once(self, request: _Request) -> Answer:
        about_to_wait()
        if remaining_seconds() <= 0:
            raise NoAnswerError(self.name, sent=False)
        if not self.breaker.allows_call():
            self._meter.back_end_called(self.name, CallOutcome.TURNED_AWAY, 0.0)
            raise NoAnswerError(self.name, sent=False)
        began = time.perf_counter()
        try:
            answer = self._send_authorized(request)
        except NoAnswerError as error:
            outcome = CallOutcome.LATE if isinstance(error, LateAnswerError) else CallOutcome.NO_ANSWER
            self._meter.back_end_called(self.name, outcome, time.perf_counter() - began)
            if isinstance(error, OversizedAnswerError):
                self.breaker.record_answer()
            elif not (request.has_short_deadline and isinstance(error, LateAnswerError)):
                self.breaker.record_failure()
            log.warning("back-end gives no answer", back_end=self.name, method=request.method, cause=_cause(error))
            raise
        self._meter.back_end_called(self.name, CallOutcome.of(answer.status), time.perf_counter() - began)
        if answer.status in _UNAVAILABLE_STATUSES:
            self.breaker.record_failure()
        else:
            self.breaker.record_answer()
        return answer

    def _send_authorized(self, request: _Request) -> Answer:
        if self._tokens is None:
            return self._send(request, None)
        token = self._token()
        answer = self._send(request, token)
        if answer.status not in {401, 403} or not request.may_renew_token:
            return answer
        request.may_renew_token = False
        self._tokens.invalidate(token)
        return self._send(request, self._token())

    def _token(self) -> str:
        assert self._tokens is not None  # noqa: S101 - for the type checker
        try:
            return self._tokens.get()
        except TokenRefusedError as error:
            raise NoAnswerError(self.name, sent=False) from error

    def _send(self, request: _Request, token: str | None) -> Answer:
        try:
            answer = exchange(
                self._session,
                request.method,
                self._url + request.path,
                data=request.body,
                headers=_headers(request, token),
                timeout=(request.timeouts.connect, request.timeouts.read),
                max_bytes=request.max_bytes,
                max_idle=request.max_idle,
            )
        except requests.Timeout as error:
            raise LateAnswerError(self.name, sent=not isinstance(error, requests.ConnectTimeout)) from error
        except TooLargeError as error:
            raise OversizedAnswerError(self.name, sent=True) from error
        except requests.RequestException as error:
            if is_stalled_answer(error):
                raise LateAnswerError(self.name, sent=True) from error
            raise RetryableError(self.name, sent=not is_before_sending(error)) from error
        except (OSError, UnicodeError) as error:  # unreadable certificates, or a header that cannot be encoded
            raise NoAnswerError(self.name, sent=False) from error
        log.debug("back-end answered", back_end=self.name, method=request.method, status=answer.status)
        return answer


def path_segment(text: str) -> str:
    """Encode `text` as one segment of a path. Raises ValueError for the empty text, `.` and `..`.

    In a URL, `.` and `..` are steps to another path, percent-encoded or not (RFC 3986, section 6.2.2).
    """
    if text in {"", ".", ".."}:
        raise ValueError("not a segment of a path")
    return quote(text, safe="")


def _new_request(
    method: str,
    path: str,
    timeouts: Timeouts,
    body: Mapping[str, Any] | None,
    headers: Mapping[str, str] | None,
    params: QueryParameters,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> _Request:
    return _Request(
        method,
        f"{path}?{urlencode(params, quote_via=quote, safe='', errors='replace')}" if params else path,
        timeouts,
        None if body is None else orjson.dumps(body),
        headers or {},
        max_bytes,
        has_short_deadline=remaining_seconds() < min(timeouts.read, timeouts.total),
    )


def _headers(request: _Request, token: str | None) -> dict[str, str]:
    headers = {"Accept": "application/json", **request.headers}
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    trace = current_trace.get()
    if trace is not None:
        headers["x-rh-insights-request-id"] = trace.request_id
        headers["X-Strc-Trace-ID"] = trace.trace_id
    return headers


def _cause(error: BaseException) -> str:
    return type(error.__cause__ or error).__name__
