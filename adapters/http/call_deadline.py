"""A deadline for a whole HTTP call over `requests`: connecting, sending the request and reading the answer.

The timeout of `requests` limits the time between two reads only: a back-end that sends single bytes slowly could hold
its caller for ever. Here one thread watches all calls, and shuts down the connection of a call whose deadline has
passed; the thread of the call then sees the connection end. The resolution of a host name cannot be interrupted.
Therefore each connection is opened on a thread of its own, for which the caller waits until the deadline only. That
costs a fifth of a millisecond, and only for calls without a pooled connection.

A server may close an idle connection just when a request is written to it. The client cannot tell then whether the
server has read the request. A request that is not idempotent therefore uses a pooled connection only if that was idle
for a very short time. A request is sent once more, on a new connection, if nothing of it was written, or if it is
idempotent and the connection came from the pool.
"""

from __future__ import annotations

import heapq
import math
import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from threading import Condition, Thread, local
from typing import Any, Final, Self

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ProtocolError, ReadTimeoutError

from adapters.http.lean_connection import LeanConnection

# Bytes of the first write to a connection, which succeeds or fails as a whole: TLS sends more in several records, and
# may fail after the first of them.
_FIRST_WRITE: Final = 16 * 1024


class UnsentError(ConnectionError):
    """The connection ended before any byte of the request was written to it."""


def is_unsent(error: BaseException) -> bool:
    """Whether this error of urllib3 means that no byte of the request was written."""
    return isinstance(error, ProtocolError) and any(isinstance(cause, UnsentError) for cause in error.args)


class CallDeadline:
    """The deadline of the calls that a thread makes over a DeadlineAdapter within this context manager.

    Afterwards `has_expired` says whether the deadline ended a call.
    """

    __slots__ = (
        "deadline",
        "descriptor",
        "has_ended",
        "has_expired",
        "max_idle",
        "needs_new_connection",
        "reuses_connection",
    )

    def __init__(self, deadline: float, max_idle: float | None = None) -> None:
        """`deadline` is a time of `time.monotonic()`.

        `max_idle` is None if the requests are idempotent. Otherwise they use a pooled connection only if that was idle
        for less than `max_idle` seconds.
        """
        self.deadline = deadline
        self.max_idle = max_idle
        # Whether the last request went out on a pooled connection, and whether the next one must not.
        self.reuses_connection = False
        self.needs_new_connection = False
        self.has_expired = False
        self.has_ended = False
        # A duplicate of the socket's file descriptor. Only this module closes it, so that its number is not reused.
        self.descriptor: int | None = None

    def __enter__(self) -> Self:
        _this_thread.call = self
        _deadline_thread.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        _this_thread.call = None
        _deadline_thread.end(self)

    def may_reuse(self, idle_since: float) -> bool:
        """Whether this call may use a connection that has been idle since `idle_since` (`time.monotonic()`)."""
        if self.needs_new_connection:
            return False
        return self.max_idle is None or time.monotonic() - idle_since < self.max_idle

    def may_send_again(self, error: Exception) -> bool:
        """Whether the request that failed with this error of urllib3 may be sent again at once."""
        if self.has_expired:
            return False
        if is_unsent(error):
            return True
        # After a read timeout the server is slow, but it has the request.
        return self.max_idle is None and self.reuses_connection and not isinstance(error, ReadTimeoutError)


class _ThisThread(local):
    call: CallDeadline | None = None


class _DeadlineThread:
    """The thread that shuts down the connections of calls at their deadlines; it starts with the first call."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._number = count()
        # A heap, ordered by deadline. Ended calls stay in it until then: searching for them would cost more.
        self._calls: list[tuple[float, int, CallDeadline]] = []
        # The time at which the thread wakes up.
        self._wakes_at = math.inf
        self._thread: Thread | None = None

    def add(self, call: CallDeadline) -> None:
        with self._changed:
            heapq.heappush(self._calls, (call.deadline, next(self._number), call))
            if self._thread is None:
                self._thread = Thread(target=self._run, name="back-end-deadlines", daemon=True)
                self._thread.start()
            elif call.deadline < self._wakes_at:
                self._changed.notify()

    def end(self, call: CallDeadline) -> None:
        with self._changed:
            call.has_ended = True
            descriptor, call.descriptor = call.descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def attach(self, call: CallDeadline, connection: socket.socket) -> bool:
        """Shut `connection` down when the call expires. Returns False if it has expired already."""
        descriptor = os.dup(connection.fileno())
        with self._changed:
            if call.has_expired:
                spare: int | None = descriptor
            else:
                spare, call.descriptor = call.descriptor, descriptor
            expired = call.has_expired
        if spare is not None:
            os.close(spare)
        return not expired

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                while self._calls and (self._calls[0][2].has_ended or self._calls[0][0] <= now):
                    _, _, call = heapq.heappop(self._calls)
                    if not call.has_ended:
                        _expire(call)
                self._wakes_at = self._calls[0][0] if self._calls else math.inf
                self._changed.wait(self._wakes_at - now if self._calls else None)


def _expire(call: CallDeadline) -> None:
    call.has_expired = True
    descriptor, call.descriptor = call.descriptor, None
    if descriptor is None:
        return
    try:
        with socket.socket(fileno=descriptor) as connection:
            connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the connection had ended before


_this_thread: Final = _ThisThread()
_deadline_thread = _DeadlineThread()


def _after_fork() -> None:
    global _deadline_thread  # noqa: PLW0603 - threads and their locks do not survive a fork
    _deadline_thread = _DeadlineThread()


os.register_at_fork(after_in_child=_after_fork)


def _connect(opened: Future[socket.socket], connect: Callable[[], socket.socket]) -> None:
    try:
        opened.set_result(connect())
    except BaseException as error:  # noqa: BLE001 - the thread that waits for the connection raises it
        opened.set_exception(error)


def _discard(opened: Future[socket.socket]) -> None:
    if opened.exception() is None:
        opened.result().close()


class _DeadlineConnection(LeanConnection):
    # The time at which it returned to its pool (`time.monotonic()`); None since it was opened.
    idle_since: float | None = None
    _is_first_write = False

    def connect(self) -> None:
        self.idle_since = None
        super().connect()

    def _new_conn(self) -> socket.socket:
        call = _this_thread.call
        if call is None:
            return super()._new_conn()
        opened: Future[socket.socket] = Future()
        Thread(target=_connect, args=(opened, super()._new_conn), name="back-end-connect", daemon=True).start()
        try:
            connection = opened.result(call.deadline - time.monotonic())
        except TimeoutError:
            opened.add_done_callback(_discard)
            raise ConnectTimeoutError(self, "The deadline of the call has passed") from None
        if not _deadline_thread.attach(call, connection):
            connection.close()
            raise ConnectTimeoutError(self, "The deadline of the call has passed")
        return connection

    def request(self, *args: Any, **options: Any) -> None:
        call = _this_thread.call
        if call is not None:
            call.reuses_connection = self.sock is not None and self.idle_since is not None
            if call.descriptor is None and self.sock is not None:  # a pooled connection
                _deadline_thread.attach(call, self.sock)
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
            written = self.sock.send(data[:_FIRST_WRITE])
        except TimeoutError:
            raise
        except OSError as error:
            raise UnsentError from error
        if written < len(data):
            super().send(data[written:])

    def _is_reusable(self, idle_since: float) -> bool:
        """Check again just before the first write, because time may have passed since the pool checked."""
        call = _this_thread.call
        return self.is_connected and (call is None or call.may_reuse(idle_since))


class _SecureDeadlineConnection(_DeadlineConnection, HTTPSConnection):
    pass


class _ReusingPool(HTTPConnectionPool):
    """Gives a call pooled connections as its CallDeadline allows, and replaces a connection that has ended."""

    def urlopen(self, method: str, url: str, *args: Any, **options: Any) -> BaseHTTPResponse:
        """See urllib3."""
        call = _this_thread.call
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

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        call = _this_thread.call
        idle_since = connection.idle_since
        if call is not None and idle_since is not None and not call.may_reuse(idle_since):
            connection.close()
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)


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
