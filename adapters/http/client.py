"""What every back-end call shares: pooled connections, deadlines, bounded retries, a breaker, credentials, tracing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from ssl import SSLCertVerificationError
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson
import requests
import stamina
import structlog
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from adapters.http.answer import Answer
from adapters.http.breaker import Breaker
from adapters.http.exchange import TooLargeError, exchange, new_session
from adapters.http.tokens import TokenRefusedError, Tokens
from adapters.http.watchdog import is_unsent
from ports.deadline import remaining_seconds, until
from ports.meter import NULL_METER, CallOutcome, Meter
from ports.trace import current_trace
from ports.waiting import about_to_wait

__all__ = [
    "LARGEST_COMMON",
    "MAX_IDLE",
    "Answer",
    "BackEnd",
    "NoAnswerError",
    "Query",
    "Timeouts",
    "new_session",
    "segment",
]

log = structlog.get_logger()

# Statuses of things in front of a back-end that cannot reach it.
_NOT_THERE: Final = frozenset({502, 503, 504})
_BEFORE_SENDING: Final = (NewConnectionError, ConnectTimeoutError, ProxyError)
# The longest a back-end may put us off, and what a further attempt needs beyond the pause before it.
_PATIENCE: Final = 1.0
_LEAST: Final = 0.1
_LONGEST_PAUSE: Final = 0.5
_JITTER: Final = 0.1

# Seconds: a connection that was idle for longer is not used for a request that the back-end must not get twice.
MAX_IDLE: Final = 0.3
# Bytes of an answer of a call that says nothing else: the common ones have some kilobytes.
LARGEST_COMMON: Final = 1024 * 1024

Query = Sequence[tuple[str, str]]


class NoAnswerError(Exception):
    """The back-end gave no usable answer; `sent` says whether it may have got the request."""

    def __init__(self, back_end: str, *, sent: bool) -> None:
        super().__init__(f"{back_end} gives no usable answer")
        self.back_end = back_end
        self.sent = sent


class _LateError(NoAnswerError):
    """An answer did not come in time."""


class _UnusableError(NoAnswerError):
    """An answer came, and is too large."""


class _TryAgainError(NoAnswerError):
    """An answer did not come, and another attempt may bring one."""


class _PutOffError(NoAnswerError):
    """The back-end wants to be asked again after some seconds."""

    def __init__(self, back_end: str, seconds: float | None) -> None:
        super().__init__(back_end, sent=True)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a connection, for each part of an answer, and for the whole call with all its attempts.

    All are cut to what `ports.deadline` leaves.
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
    largest: int = LARGEST_COMMON
    # Whether the caller had less time left than the back-end is usually given.
    hurried: bool = False
    # See exchange.
    max_idle: float | None = None
    # The attempts of a call share one renewal of the access token: each of them would double the requests otherwise.
    may_renew_token: bool = True


class BackEnd:
    """One back-end at `url`. Thread-safe; holds at most `connections` idle connections.

    `headers` go along with a call as they are; the pairs of `params` are encoded into its query. An answer of more than
    `largest` bytes is none.
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
        self.name = name
        self._url = url.rstrip("/")
        self._tokens = tokens
        self._session = new_session(connections, ca_file, proxy)
        self.breaker = breaker or Breaker()
        self._meter = meter

    def close(self) -> None:
        """Drop the pooled connections."""
        self._session.close()

    def get(
        self,
        path: str,
        timeouts: Timeouts,
        *,
        headers: Mapping[str, str] | None = None,
        params: Query = (),
        largest: int = LARGEST_COMMON,
    ) -> Answer:
        """GET, repeated a little while the back-end is not there. Raises NoAnswerError, for a 429 too."""
        return self._repeated(_request("GET", path, timeouts, None, headers, params, largest))

    def ask(
        self,
        path: str,
        body: Mapping[str, Any],
        timeouts: Timeouts,
        *,
        headers: Mapping[str, str] | None = None,
        params: Query = (),
        largest: int = LARGEST_COMMON,
    ) -> Answer:
        """A POST that only asks, repeated as `get` is. Raises NoAnswerError, for a 429 too."""
        return self._repeated(_request("POST", path, timeouts, body, headers, params, largest))

    def delete(
        self, path: str, timeouts: Timeouts, *, headers: Mapping[str, str] | None = None, params: Query = ()
    ) -> Answer:
        """DELETE, repeated as `get` is. Raises NoAnswerError, for a 429 too."""
        return self._repeated(_request("DELETE", path, timeouts, None, headers, params))

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        timeouts: Timeouts,
        *,
        headers: Mapping[str, str] | None = None,
        params: Query = (),
        max_idle: float = MAX_IDLE,
    ) -> Answer:
        """A POST that the back-end must not get twice; only if nothing of it was written it is sent once more.

        It uses a pooled connection only if that was idle for less than `max_idle` seconds. Raises NoAnswerError.
        """
        request = replace(_request("POST", path, timeouts, body, headers, params), max_idle=max_idle)
        with until(timeouts.total):
            return self._guarded(request)

    def _repeated(self, request: _Request) -> Answer:
        """The answer after up to three attempts. The error of the last one says whether any of them was sent."""
        was_sent = False
        with until(request.timeouts.total):
            for attempt in stamina.retry_context(
                on=_another_attempt(), attempts=3, wait_initial=0.05, wait_max=_LONGEST_PAUSE, wait_jitter=_JITTER
            ):
                with attempt:
                    try:
                        answer = self._guarded(request)
                    except NoAnswerError as error:
                        was_sent = error.sent = error.sent or was_sent
                        raise
                    if answer.status in _NOT_THERE:
                        was_sent = True
                        raise _TryAgainError(self.name, sent=True)
                    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
                        raise _PutOffError(self.name, answer.retry_after)
        return answer

    def _guarded(self, request: _Request) -> Answer:
        about_to_wait()
        if remaining_seconds() <= 0:
            raise NoAnswerError(self.name, sent=False)
        if not self.breaker.admits():
            self._meter.back_end_called(self.name, CallOutcome.TURNED_AWAY, 0.0)
            raise NoAnswerError(self.name, sent=False)
        began = time.perf_counter()
        try:
            answer = self._authorized(request)
        except NoAnswerError as error:
            outcome = CallOutcome.LATE if isinstance(error, _LateError) else CallOutcome.NO_ANSWER
            self._meter.back_end_called(self.name, outcome, time.perf_counter() - began)
            if isinstance(error, _UnusableError):
                self.breaker.answered()
            elif not (request.hurried and isinstance(error, _LateError)):
                self.breaker.failed()
            log.warning("back-end gives no answer", back_end=self.name, method=request.method, cause=_cause(error))
            raise
        self._meter.back_end_called(self.name, CallOutcome.of(answer.status), time.perf_counter() - began)
        if answer.status in _NOT_THERE:
            self.breaker.failed()
        else:
            self.breaker.answered()
        return answer

    def _authorized(self, request: _Request) -> Answer:
        if self._tokens is None:
            return self._send(request, None)
        token = self._token()
        answer = self._send(request, token)
        if answer.status not in {401, 403} or not request.may_renew_token:
            return answer
        request.may_renew_token = False
        self._tokens.refused(token)
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
                largest=request.largest,
                max_idle=request.max_idle,
            )
        except requests.Timeout as error:
            raise _LateError(self.name, sent=not isinstance(error, requests.ConnectTimeout)) from error
        except TooLargeError as error:
            raise _UnusableError(self.name, sent=True) from error
        except requests.RequestException as error:
            if _stalled(error):
                raise _LateError(self.name, sent=True) from error
            raise _TryAgainError(self.name, sent=not _failed_before_sending(error)) from error
        except (OSError, UnicodeError) as error:  # certificates that cannot be read, a header that cannot be written
            raise NoAnswerError(self.name, sent=False) from error
        log.debug("back-end answered", back_end=self.name, method=request.method, status=answer.status)
        return answer


def segment(text: str) -> str:
    """`text` as one segment of a path. Raises ValueError for what cannot be one.

    Dots alone are steps, encoded or not (RFC 3986, section 6.2.2), and nothing leaves a segment out.
    """
    if text in {"", ".", ".."}:
        raise ValueError("no segment of a path")
    return quote(text, safe="")


def _request(
    method: str,
    path: str,
    timeouts: Timeouts,
    body: Mapping[str, Any] | None,
    headers: Mapping[str, str] | None,
    params: Query,
    largest: int = LARGEST_COMMON,
) -> _Request:
    return _Request(
        method,
        f"{path}?{urlencode(params, quote_via=quote, safe='', errors='replace')}" if params else path,
        timeouts,
        None if body is None else orjson.dumps(body),
        headers or {},
        largest,
        hurried=remaining_seconds() < min(timeouts.read, timeouts.total),
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


def _another_attempt() -> Callable[[Exception], bool | float]:
    """Whether another attempt follows an error, and after how many seconds where the back-end says so (once)."""
    was_put_off = False

    def decide(error: Exception) -> bool | float:
        nonlocal was_put_off
        if isinstance(error, _PutOffError):
            seconds = error.seconds
            if was_put_off or seconds is None or seconds > _PATIENCE or remaining_seconds() < seconds + _LEAST:
                return False
            was_put_off = True
            return seconds
        return isinstance(error, _TryAgainError) and remaining_seconds() > _LONGEST_PAUSE + _JITTER + _LEAST

    return decide


def _stalled(error: requests.RequestException) -> bool:
    """Whether the answer began and then took too long: waiting as long again is not likely to help."""
    return bool(error.args) and isinstance(error.args[0], ReadTimeoutError)


def _failed_before_sending(error: requests.RequestException) -> bool:
    cause = error.args[0] if error.args else None
    if isinstance(cause, ProtocolError):
        return is_unsent(cause)
    if not isinstance(cause, MaxRetryError):
        return False
    reason = cause.reason
    # Of TLS' own errors, others than a certificate's may also come while the answer is read.
    untrusted = isinstance(reason, SSLError) and any(isinstance(each, SSLCertVerificationError) for each in reason.args)
    return untrusted or isinstance(reason, _BEFORE_SENDING)


def _cause(error: BaseException) -> str:
    return type(error.__cause__ or error).__name__
