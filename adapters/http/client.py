"""What every back-end call shares: pooled connections, timeouts, bounded retries, a breaker, credentials, tracing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import orjson
import requests
import stamina
import structlog
from requests.adapters import HTTPAdapter
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from adapters.http.breaker import Breaker
from adapters.http.tokens import TokenRefusedError, Tokens
from ports.trace import current_trace

log = structlog.get_logger()

# Statuses of things in front of a back-end that cannot reach it.
_NOT_THERE: Final = frozenset({502, 503, 504})
_BEFORE_SENDING: Final = (NewConnectionError, ConnectTimeoutError, SSLError, ProxyError)


class NoAnswerError(Exception):
    """The back-end gave no usable answer; `sent` says whether it may have got the request."""

    def __init__(self, back_end: str, *, sent: bool) -> None:
        super().__init__(f"{back_end} gives no usable answer")
        self.back_end = back_end
        self.sent = sent


class _TryAgainError(NoAnswerError):
    """An answer did not come, and another attempt may bring one."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a connection, and for each part of an answer."""

    connect: float
    read: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A back-end's answer, whatever its status."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


class BackEnd:
    """One back-end at `url`. Thread-safe; holds at most `connections` idle connections."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        connections: int,
        tokens: Tokens | None = None,
        ca_file: str | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        self.name = name
        self._url = url.rstrip("/")
        self._tokens = tokens
        self._session = new_session(connections, ca_file if url.lower().startswith("https://") else None)
        self.breaker = breaker or Breaker()

    def close(self) -> None:
        """Drop the pooled connections."""
        self._session.close()

    def get(self, path: str, timeouts: Timeouts) -> Answer:
        """GET, repeated a little while the back-end is not there. Raises NoAnswerError."""
        return self._repeated("GET", path, timeouts)

    def delete(self, path: str, timeouts: Timeouts) -> Answer:
        """DELETE, repeated as `get` is. Raises NoAnswerError."""
        return self._repeated("DELETE", path, timeouts)

    def post(self, path: str, body: Mapping[str, Any], timeouts: Timeouts) -> Answer:
        """POST once: whether it may be repeated is not ours to know. Raises NoAnswerError."""
        return self._guarded("POST", path, timeouts, orjson.dumps(body))

    def _repeated(self, method: str, path: str, timeouts: Timeouts) -> Answer:
        for attempt in stamina.retry_context(
            on=_TryAgainError, attempts=3, wait_initial=0.05, wait_max=0.5, wait_jitter=0.1
        ):
            with attempt:
                answer = self._guarded(method, path, timeouts)
                if answer.status in _NOT_THERE:
                    raise _TryAgainError(self.name, sent=True)
        return answer

    def _guarded(self, method: str, path: str, timeouts: Timeouts, body: bytes | None = None) -> Answer:
        if not self.breaker.admits():
            raise NoAnswerError(self.name, sent=False)
        try:
            answer = self._authorized(method, path, timeouts, body)
        except NoAnswerError as error:
            self.breaker.failed()
            log.warning("back-end gives no answer", back_end=self.name, method=method, cause=_cause(error))
            raise
        if answer.status in _NOT_THERE:
            self.breaker.failed()
        else:
            self.breaker.answered()
        return answer

    def _authorized(self, method: str, path: str, timeouts: Timeouts, body: bytes | None) -> Answer:
        if self._tokens is None:
            return self._send(method, path, timeouts, body, None)
        token = self._token()
        answer = self._send(method, path, timeouts, body, token)
        if answer.status not in {401, 403}:
            return answer
        self._tokens.refused(token)
        return self._send(method, path, timeouts, body, self._token())

    def _token(self) -> str:
        assert self._tokens is not None  # noqa: S101 - for the type checker
        try:
            return self._tokens.get()
        except TokenRefusedError as error:
            raise NoAnswerError(self.name, sent=False) from error

    def _send(self, method: str, path: str, timeouts: Timeouts, body: bytes | None, token: str | None) -> Answer:
        headers = _headers(token, has_body=body is not None)
        try:
            response = self._session.request(
                method,
                self._url + path,
                data=body,
                headers=headers,
                timeout=(timeouts.connect, timeouts.read),
                allow_redirects=False,
            )
        except requests.Timeout as error:
            raise NoAnswerError(self.name, sent=not isinstance(error, requests.ConnectTimeout)) from error
        except requests.RequestException as error:
            if _stalled(error):
                raise NoAnswerError(self.name, sent=True) from error
            raise _TryAgainError(self.name, sent=not _failed_before_sending(error)) from error
        except OSError as error:  # such as certificates that cannot be read
            raise NoAnswerError(self.name, sent=False) from error
        return Answer(response.status_code, response.content)


def new_session(connections: int, ca_file: str | None = None) -> requests.Session:
    """A session for one host; `ca_file`, where given, holds the only certificates trusted.

    The process' own surroundings (proxies, netrc) are not asked: that costs a third of each call's time.
    """
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(_NO_COOKIES)
    if ca_file:
        session.verify = ca_file
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=connections)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


class _NoCookies(DefaultCookiePolicy):
    """One session serves all tenants: nothing a back-end sets is carried from one to the next."""

    def set_ok(self, *_: object) -> bool:
        return False

    def return_ok(self, *_: object) -> bool:
        return False


_NO_COOKIES: Final = _NoCookies()


def _headers(token: str | None, *, has_body: bool) -> dict[str, str]:
    headers = {"Accept": "application/json"}
    if has_body:
        headers["Content-Type"] = "application/json"
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    trace = current_trace.get()
    if trace is not None:
        headers["x-rh-insights-request-id"] = trace.request_id
        headers["X-Strc-Trace-ID"] = trace.trace_id
    return headers


def _stalled(error: requests.RequestException) -> bool:
    """Whether the answer began and then took too long: waiting as long again is not likely to help."""
    return bool(error.args) and isinstance(error.args[0], ReadTimeoutError)


def _failed_before_sending(error: requests.RequestException) -> bool:
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, _BEFORE_SENDING)


def _cause(error: BaseException) -> str:
    return type(error.__cause__ or error).__name__
