"""Sends one HTTP request and reads its answer, within a deadline and with a limit on the answer's size."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from http.cookiejar import DefaultCookiePolicy
from types import MappingProxyType
from typing import Any, Final

import requests
from requests.structures import CaseInsensitiveDict

from adapters.http.answer import Answer
from adapters.http.bounded_responses import NoRedirectSession
from adapters.http.call_deadline import CallDeadline
from adapters.http.deadline_connections import DeadlineAdapter
from adapters.http.lean_connection import PlainAnswer
from domain.errors import ImageBuilderError
from ports.deadline import current_deadline
from ports.memory import reserve_memory
from ports.trace import CallSpan, current_span

# Bytes of an answer where the caller sets no limit.
MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
# Bytes that one read of an answer returns at most.
_READ_SIZE: Final = 64 * 1024
# Bytes: memory for an answer is reserved in steps of this size; the first step needs no reservation.
_RESERVATION_STEP: Final = 1024 * 1024
# The URLs that `requests` would not change: an ASCII host without credentials, a path.
_PLAIN_URL: Final = re.compile(r"https?://[a-z0-9.-]+(?::[1-5]?[0-9]{1,4})?/[A-Za-z0-9/._~%?&=,+-]*")
# Seconds for an exchange without a deadline.
_DEFAULT_SECONDS: Final = 60.0


class OverdueError(requests.Timeout):
    """The answer was not complete at the deadline."""


class TooLargeError(requests.RequestException):
    """The answer is larger than its limit, or than the memory that is left."""


def new_session(connections: int, ca_file: str = "", proxy: str = "") -> requests.Session:
    """Create a session for one host that keeps at most `connections` idle connections.

    `ca_file` is a file with the certificate authorities to trust, empty for the usual ones. `proxy` is the URL of a
    proxy, empty for none. The session ignores proxies and netrc files that the environment names, because to read them
    takes a third of the time of each call.
    """
    session = NoRedirectSession()
    session.trust_env = False
    session.cookies.set_policy(NO_COOKIES)
    if ca_file:
        session.verify = ca_file
    if proxy:
        session.proxies = {"http": proxy, "https": proxy}
    adapter = DeadlineAdapter(pool_connections=1, pool_maxsize=connections)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def exchange(
    session: requests.Session,
    method: str,
    url: str,
    *,
    data: bytes | Mapping[str, str] | None,
    headers: Mapping[str, str] | None,
    timeout: tuple[float, float],
    max_bytes: int = MAX_ANSWER_BYTES,
    max_idle: float | None = None,
) -> Answer:
    """Send a request and return its answer, of at most `max_bytes` bytes. Redirects are returned, not followed.

    The exchange ends at the deadline of the work at hand (`ports.deadline`), or after 60 seconds if there is none.
    `data` is the body, or the fields of a form; `headers` are added to those of the session. The body of the answer
    counts towards the memory that the current request has reserved.

    `timeout` holds the seconds to wait for a connection and between two reads of the answer. `max_idle` is None for an
    idempotent request, which is sent again if a pooled connection has ended. Any other request uses a pooled connection
    only if that was idle for less than `max_idle` seconds, and is sent again only if no byte of it was written.

    Raises OverdueError if the answer is incomplete at the deadline, TooLargeError, requests.ConnectTimeout if nothing
    was sent because the deadline has passed or no connection was made in time, and other OSErrors, of which all errors
    of `requests` are subclasses.
    """
    now = time.monotonic()
    deadline = current_deadline.get() or now + _DEFAULT_SECONDS
    remaining = deadline - now
    if remaining <= 0:
        raise requests.ConnectTimeout
    with _call_span(method, url) as span:
        all_headers = {**session.headers, **(headers or {}), **span.headers}
        timeout = min(timeout[0], remaining), min(timeout[1], remaining)
        answer = _read_answer(
            CallDeadline(deadline, max_idle),
            lambda call: _send(session, call, method, url, data, all_headers, timeout),
            max_bytes,
        )
        span.answered(answer.status)
        return answer


def _send(
    session: requests.Session,
    call: CallDeadline,
    method: str,
    url: str,
    data: bytes | Mapping[str, str] | None,
    headers: Mapping[str, Any],
    timeout: tuple[float, float],
) -> PlainAnswer | requests.Response:
    """Send a request: over an idle connection with few steps, otherwise as `requests` does."""
    adapter: Any = session.get_adapter(url)
    verify = session.verify or False
    if _is_plain(url) and not session.proxies and (data is None or isinstance(data, bytes)):
        answer: PlainAnswer | requests.Response | None = adapter.exchange(
            call, method, url, data, headers, verify=verify, seconds=timeout[1]
        )
        if answer is not None:
            return answer
    prepared = _prepare(method, url, data, headers)
    response: requests.Response = adapter.send(
        prepared, stream=True, timeout=timeout, verify=verify, proxies=session.proxies
    )
    return response


def _prepare(
    method: str, url: str, data: bytes | Mapping[str, str] | None, headers: Mapping[str, Any]
) -> requests.PreparedRequest:
    """Prepare a request as `Session.request` does, without what no back-end needs: cookies, hooks, redirects.

    `requests` reads each URL three times; a plain one stays as it is. LeanConnection checks the headers.
    """
    prepared = requests.PreparedRequest()
    prepared.method = method
    prepared.headers = CaseInsensitiveDict(headers)
    if _is_plain(url):
        prepared.url = url
    else:
        prepared.prepare_url(url, None)
        prepared.prepare_auth(None, url)
    prepared.prepare_body(data, None)
    return prepared


def _is_plain(url: str) -> bool:
    """Whether `requests` would send the URL as it is."""
    return _PLAIN_URL.fullmatch(url) is not None and "/." not in url


def _read_answer(
    call: CallDeadline, send: Callable[[CallDeadline], PlainAnswer | requests.Response], max_bytes: int
) -> Answer:
    with call:
        try:
            received = send(call)
            if isinstance(received, PlainAnswer):
                answer = _limit(received, max_bytes)
            else:
                body = _read_body(received, max_bytes)
                answer = Answer(received.status_code, body, _parse_seconds(received.headers.get("Retry-After")))
        except requests.ConnectTimeout:
            raise  # not OverdueError, so that the caller knows that nothing was sent
        except (requests.RequestException, OSError) as error:
            if call.has_expired:
                raise OverdueError from error
            raise
    if call.has_expired:  # an answer without a length looks complete when its connection ends
        raise OverdueError
    return answer


def _limit(plain: PlainAnswer, max_bytes: int) -> Answer:
    if len(plain.body) > max_bytes:
        raise TooLargeError
    return Answer(plain.status, plain.body, _parse_seconds(plain.headers.get("retry-after")))


class _NullSpan:
    """The span of a call that is not traced."""

    headers: Mapping[str, str] = MappingProxyType({})

    def answered(self, status: int) -> None:
        pass


_NO_TRACE: Final = nullcontext(_NullSpan())


def _call_span(method: str, url: str) -> AbstractContextManager[CallSpan]:
    span = current_span.get()
    return _NO_TRACE if span is None else span.call(method, url)


def _read_body(response: requests.Response, max_bytes: int) -> bytes:
    body = bytearray()  # not a list of pieces, because each may have one byte only
    reserved = _RESERVATION_STEP
    try:
        for piece in response.iter_content(_READ_SIZE):
            if len(body) + len(piece) > max_bytes:
                raise TooLargeError
            body += piece
            if len(body) > reserved:
                reserve_memory(2 * _RESERVATION_STEP)  # twice the size: `bytes(body)` copies it
                reserved += _RESERVATION_STEP
    except ImageBuilderError as error:
        raise TooLargeError from error
    finally:
        response.close()
    return bytes(body)


def _parse_seconds(retry_after: str | None) -> float | None:
    # A back-end may send a date instead (RFC 9110, section 10.2.3). It is ignored, since clocks differ.
    text = "" if retry_after is None else retry_after.strip()
    return float(text) if text.isascii() and text.isdigit() else None


class _NoCookies(DefaultCookiePolicy):
    """Refuses all cookies, because one session serves all tenants, and tenants must not share cookies."""

    def set_ok(self, *_: object) -> bool:
        return False

    def return_ok(self, *_: object) -> bool:
        return False


# The cookie policy of all sessions of this service.
NO_COOKIES: Final = _NoCookies()
