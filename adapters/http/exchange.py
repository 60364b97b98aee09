"""One request and its answer: over watched connections, within a deadline, and no larger than we can bear."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from http.cookiejar import DefaultCookiePolicy
from types import MappingProxyType
from typing import Final

import requests

from adapters.http.answer import Answer
from adapters.http.bounded import RedirectsToCaller
from adapters.http.watchdog import Watch, WatchedAdapter
from domain.errors import ImageBuilderError
from ports.deadline import current_deadline
from ports.memory import reserve_memory
from ports.trace import CallSpan, current_span

# Bytes of an answer whose caller says nothing else.
LARGEST_ANSWER: Final = 32 * 1024 * 1024
_PIECE: Final = 64 * 1024
# Memory is asked for in steps, the first of which is free. Twice, because the pieces are joined.
_STEP: Final = 1024 * 1024
# Where nobody set a deadline.
_LONGEST: Final = 60.0


class OverdueError(requests.Timeout):
    """The answer was not there in time as a whole."""


class TooLargeError(requests.RequestException):
    """The answer is larger than its caller, or the memory that is left, can bear."""


def new_session(connections: int, ca_file: str = "", proxy: str = "") -> requests.Session:
    """A session for one host, by way of the `proxy` (a URL) where given.

    `ca_file`, where given, holds the only certificates trusted.

    The process' own surroundings (proxies, netrc) are not asked: that costs a third of each call's time.
    """
    session = RedirectsToCaller()
    session.trust_env = False
    session.cookies.set_policy(NO_COOKIES)
    if ca_file:
        session.verify = ca_file
    if proxy:
        session.proxies = {"http": proxy, "https": proxy}
    adapter = WatchedAdapter(pool_connections=1, pool_maxsize=connections)
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
    largest: int = LARGEST_ANSWER,
    max_idle: float | None = None,
) -> Answer:
    """The answer, of at most `largest` bytes.

    `timeout` holds the seconds to wait for a connection and for each part of the answer. `max_idle` is None for an
    idempotent request, which is sent again if a pooled connection has ended. Any other request uses a pooled connection
    only if that was idle for less than so many seconds, and is sent again only if nothing of it was written.

    Raises requests.RequestException, OverdueError and TooLargeError among them, and OSError.
    """
    now = time.monotonic()
    deadline = current_deadline.get() or now + _LONGEST
    left = deadline - now
    if left <= 0:
        raise requests.ConnectTimeout
    with _call_span(method, url) as call:
        answer = _watched(
            Watch(deadline, max_idle),
            lambda: session.request(
                method,
                url,
                data=data,
                headers={**(headers or {}), **call.headers},
                timeout=(min(timeout[0], left), min(timeout[1], left)),
                allow_redirects=False,
                stream=True,
            ),
            largest,
        )
        call.answered(answer.status)
        return answer


def _watched(watch: Watch, request: Callable[[], requests.Response], largest: int) -> Answer:
    with watch:
        try:
            response = request()
            body = _body(response, largest)
            answer = Answer(response.status_code, body, _seconds(response.headers.get("Retry-After")))
        except requests.ConnectTimeout:
            raise
        except (requests.RequestException, OSError) as error:
            if watch.expired:
                raise OverdueError from error
            raise
    if watch.expired:  # an answer that lasts until the connection ends looks whole
        raise OverdueError
    return answer


class _Untraced:
    """The span of a call where no traces are kept."""

    headers: Mapping[str, str] = MappingProxyType({})

    def answered(self, status: int) -> None:
        pass


_UNTRACED: Final = nullcontext(_Untraced())


def _call_span(method: str, url: str) -> AbstractContextManager[CallSpan]:
    span = current_span.get()
    return _UNTRACED if span is None else span.call(method, url)


def _body(response: requests.Response, largest: int) -> bytes:
    body, reserved = bytearray(), _STEP  # no list of pieces: those may be of one byte each
    try:
        for piece in response.iter_content(_PIECE):
            if len(body) + len(piece) > largest:
                raise TooLargeError
            body += piece
            if len(body) > reserved:
                reserve_memory(2 * _STEP)
                reserved += _STEP
    except ImageBuilderError as error:
        raise TooLargeError from error
    finally:
        response.close()
    return bytes(body)


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after is not None and retry_after.isascii() and retry_after.isdigit() else None


class _NoCookies(DefaultCookiePolicy):
    """One session serves all tenants: nothing a back-end sets is carried from one to the next."""

    def set_ok(self, *_: object) -> bool:
        return False

    def return_ok(self, *_: object) -> bool:
        return False


NO_COOKIES: Final = _NoCookies()
