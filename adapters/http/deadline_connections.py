"""Connections to back-ends that a CallDeadline can end, their pools, and the adapter of `requests` that uses them.

The resolution of a host name cannot be interrupted. Therefore each connection is opened on a thread of its own, for
which the caller waits until the deadline only. That costs a fifth of a millisecond, and only for calls without a pooled
connection.

A server may close an idle connection just when a request is written to it. The client cannot tell then whether the
server has read the request. A request that is not idempotent therefore uses a pooled connection only if that was idle
for a very short time. A request is sent once more, on a new connection, if nothing of it was written, or if it is
idempotent and the connection came from the pool.
"""

from __future__ import annotations

import os
import queue
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from http.client import HTTPException
from threading import Thread
from typing import Any, Final

import requests
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ProtocolError, ReadTimeoutError

from adapters.http.call_deadline import CallDeadline, Line, UnsentError, current_call, release_line
from adapters.http.lean_connection import LeanConnection, PlainAnswer

# Bytes of the first write to a connection, which succeeds or fails as a whole: TLS sends more in several records, and
# may fail after the first of them.
_FIRST_WRITE: Final = 16 * 1024
# How an answer that is not plain is read.
_AS_A_STREAM: Final = {"preload_content": False, "decode_content": False, "enforce_content_length": True}


def _connect(opened: Future[socket.socket], connect: Callable[[], socket.socket]) -> None:
    try:
        opened.set_result(connect())
    except BaseException as error:  # noqa: BLE001 - the thread that waits for the connection raises it
        opened.set_exception(error)


def _discard(opened: Future[socket.socket]) -> None:
    if opened.exception() is None:
        opened.result().close()


def _send_at_once(connection: Any, data: bytes) -> int:
    """Send data, and return the number of bytes that were sent.

    `socket.send` first waits until the socket takes data, even where it does so at once, as an idle one.
    """
    if type(connection) is socket.socket:
        with suppress(BlockingIOError):
            return os.write(connection.fileno(), data)
    sent: int = connection.send(data)
    return sent


class _DeadlineConnection(LeanConnection):
    # The time at which it returned to its pool (`time.monotonic()`); None since it was opened.
    idle_since: float | None = None
    _is_first_write = False
    _line: Line | None = None

    def connect(self) -> None:
        self.idle_since = None
        super().connect()

    def close(self) -> None:
        """Close the connection; see http.client."""
        line, self._line = self._line, None
        try:
            super().close()
        finally:
            if line is not None:
                release_line(line)

    def _new_conn(self) -> socket.socket:
        call = current_call()
        if call is None:
            return super()._new_conn()
        opened: Future[socket.socket] = Future()
        Thread(target=_connect, args=(opened, super()._new_conn), name="back-end-connect", daemon=True).start()
        try:
            connection = opened.result(call.deadline - time.monotonic())
        except TimeoutError:
            opened.add_done_callback(_discard)
            raise ConnectTimeoutError(self, "The deadline of the call has passed") from None
        finally:
            del opened  # an error refers to this frame: they would keep each other in memory
        self._line = Line(connection)
        if not call.attach(self._line):
            connection.close()
            raise ConnectTimeoutError(self, "The deadline of the call has passed")
        return connection

    def request(self, *args: Any, **options: Any) -> None:
        call = current_call()
        if call is not None:
            call.reuses_connection = self.sock is not None and self.idle_since is not None
            if call.line is None and self.sock is not None:  # a pooled connection
                self._line = self._line or Line(self.sock)
                call.attach(self._line)
        self._is_first_write = True
        super().request(*args, **options)

    def send(self, data: Any) -> None:
        """See http.client. Raises UnsentError if no byte of the request could be written.

        urllib3 does not tell its callers whether that was the case.
        """
        if not self._is_first_write:
            super().send(data)
            return
        self._is_first_write = False
        if self.sock is None:
            self.connect()
        elif self.idle_since is not None and not self._is_reusable(self.idle_since):
            raise UnsentError
        try:
            written = _send_at_once(self.sock, data[:_FIRST_WRITE])
        except TimeoutError:
            raise
        except OSError as error:
            raise UnsentError from error
        if written < len(data):
            super().send(data[written:])

    def _is_reusable(self, idle_since: float) -> bool:
        """Check again just before the first write, because time may have passed since the pool checked."""
        call = current_call()
        return self.is_connected and (call is None or call.may_reuse(idle_since))


class _SecureDeadlineConnection(_DeadlineConnection, HTTPSConnection):
    pass


class _ReusingPool(HTTPConnectionPool):
    """Gives a call pooled connections as its CallDeadline allows, and replaces a connection that has ended."""

    def urlopen(self, method: str, url: str, *args: Any, **options: Any) -> BaseHTTPResponse:
        """See urllib3."""
        call = current_call()
        if call is not None:
            call.reuses_connection = False
        try:
            return super().urlopen(method, url, *args, **options)
        except (HTTPError, OSError) as error:
            if call is None or not call.may_send_again(error):
                raise
        call.needs_new_connection = True
        try:
            return super().urlopen(method, url, *args, **options)
        finally:
            call.needs_new_connection = False

    def exchange(
        self,
        call: CallDeadline,
        method: str,
        target: str,
        body: bytes | None,
        headers: Mapping[str, str],
        seconds: float,
    ) -> PlainAnswer | HTTPResponse | None:
        """Send a request over an idle connection, and return the answer.

        `seconds` limits each wait for the server. Returns None if `urlopen` has to send the request: there is no idle
        connection, or it had ended and the request may be sent again. Raises ReadTimeoutError and other HTTPErrors.
        """
        connection = self._take_idle(call)
        if connection is None:
            return None
        connection.timeout = seconds
        try:
            try:
                with suppress(BrokenPipeError, ConnectionResetError):  # the server may have answered already
                    connection.request(method, target, body, headers, **_AS_A_STREAM)
            except ValueError:  # a header or a URL that cannot be sent; `urlopen` raises its error
                self._put_conn(connection)
                return None
            answer: PlainAnswer | HTTPResponse = connection.read_plain_answer() or connection.getresponse(
                pool=self, connection=connection
            )
        except (OSError, HTTPException, HTTPError, ValueError) as cause:
            connection.close()
            self._put_conn(None)
            error = _to_error(self, target, cause)
            try:
                if not call.may_send_again(error):
                    raise error from cause
            finally:
                del error  # it refers to this frame: they would keep each other, and the connection, in memory
            call.needs_new_connection = True
            return None
        except BaseException:
            connection.close()
            raise
        if isinstance(answer, PlainAnswer):
            call.detach()
            self._put_conn(connection)
        return answer

    def _take_idle(self, call: CallDeadline) -> Any:
        """Return a connection that this call may use, None if the pool has none to give at once."""
        try:
            connection: Any = None if self.pool is None else self.pool.get(block=False)
        except queue.Empty:
            return None
        if connection is None or (connection.sock is not None and call.may_reuse(connection.idle_since)):
            return connection
        super()._put_conn(connection)  # `urlopen` opens it again
        return None

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        call = current_call()
        idle_since = connection.idle_since
        if call is not None and idle_since is not None and not call.may_reuse(idle_since):
            connection.close()
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)


def _to_error(pool: HTTPConnectionPool, target: str, cause: Exception) -> HTTPError:
    """Return the error of urllib3 for an error of a connection."""
    if isinstance(cause, TimeoutError):
        return ReadTimeoutError(pool, target, "Read timed out.")
    return ProtocolError("Connection aborted.", cause)


class _DeadlinePool(_ReusingPool):
    ConnectionCls = _DeadlineConnection


class _SecureDeadlinePool(_ReusingPool, HTTPSConnectionPool):
    ConnectionCls = _SecureDeadlineConnection


# By URL scheme: the urllib3 connection pools whose connections a CallDeadline can end.
DEADLINE_POOLS: Final = {"http": _DeadlinePool, "https": _SecureDeadlinePool}


class DeadlineAdapter(HTTPAdapter):
    """A transport adapter of `requests` whose connections a CallDeadline can end.

    It serves sessions that accept no cookies, mostly for one host: it looks up the pool of a host once.
    """

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """See requests."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = DEADLINE_POOLS
        self._pool_of: tuple[object, Any] = (None, None)

    def close(self) -> None:
        """See requests. A pool closes its connections when nothing refers to it."""
        self._pool_of = (None, None)
        super().close()

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """See requests."""
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = DEADLINE_POOLS
        return manager

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """See requests."""
        if proxies or request.url is None:
            return super().get_connection_with_tls_context(request, verify, proxies, cert)
        key = (request.url[: request.url.find("/", len("https://"))], verify, cert)
        known, pool = self._pool_of
        if known != key or pool.pool is None:  # another host, or closed by the pool manager
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            self._pool_of = (key, pool)
        return pool

    def exchange(
        self,
        call: CallDeadline,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        verify: Any,
        seconds: float,
    ) -> PlainAnswer | Response | None:
        """Send a request over an idle connection without the steps of `send`, and return its answer.

        `seconds` limits each wait for the server. Returns None if `send` has to send the request. Raises
        requests.ReadTimeout and requests.ConnectionError.
        """
        start = url.find("/", len("https://"))
        known, pool = self._pool_of
        if known != (url[:start], verify, None) or pool.pool is None:
            return None
        try:
            answer = pool.exchange(call, method, url[start:], body, headers, seconds)
        except ReadTimeoutError as error:
            raise requests.ReadTimeout(error) from error
        except HTTPError as error:
            raise requests.ConnectionError(error) from error
        if answer is None or isinstance(answer, PlainAnswer):
            return answer
        request = PreparedRequest()
        request.method, request.url = method, url
        return self.build_response(request, answer)

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        """See requests."""
        return super().request_url(request, proxies) if proxies else request.path_url

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """See requests: without cookies, and with the headers as urllib3 has them."""
        response = Response()
        response.status_code = resp.status
        response.headers = resp.headers
        response.raw = resp
        response.reason = resp.reason
        response.url = req.url or ""
        response.request = req
        return response
