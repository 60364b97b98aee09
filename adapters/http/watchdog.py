"""Ends calls that take too long as a whole.

`requests` waits so long for each piece of an answer, however many there are: a back-end that sends a byte now and then
holds its caller for ever. Here one thread for all calls breaks the connection of a call whose time is up; whoever reads
from it finds it ended. What has no connection yet may be held by the resolver of host names, which nothing can break:
connections are made on a thread of their own, which the caller leaves behind when its time is up. That costs a fifth of
a millisecond, and only where no pooled connection is at hand.

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

from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ProtocolError, ReadTimeoutError

from adapters.http.bounded import BoundedResponse


class UnsentError(ConnectionError):
    """A connection that ended before any byte of the request was written to it."""


def is_unsent(error: BaseException) -> bool:
    """Whether urllib3's `error` says that no byte of the request was written."""
    return isinstance(error, ProtocolError) and any(isinstance(cause, UnsentError) for cause in error.args)


class Watch:
    """One call of this thread, over connections of a WatchedAdapter; runs as a context manager."""

    __slots__ = ("deadline", "ended", "expired", "handle", "max_idle", "needs_new_connection", "reuses_connection")

    def __init__(self, deadline: float, max_idle: float | None = None) -> None:
        """`deadline` is of `time.monotonic()`.

        `max_idle` is None if the requests are idempotent. Otherwise they use a pooled connection only if that was idle
        for less than so many seconds.
        """
        self.deadline = deadline
        self.max_idle = max_idle
        # Whether the last request went out on a pooled connection, and whether the next one must not.
        self.reuses_connection = False
        self.needs_new_connection = False
        self.expired = False
        self.ended = False
        # Our own number for the call's socket: nobody else closes it, so it is never another call's.
        self.handle: int | None = None

    def __enter__(self) -> Self:
        _this_thread.watch = self
        _watchdog.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        _this_thread.watch = None
        _watchdog.end(self)

    def may_reuse(self, idle_since: float) -> bool:
        """Whether a connection that has been idle since then (`time.monotonic()`) may be used again."""
        if self.needs_new_connection:
            return False
        return self.max_idle is None or time.monotonic() - idle_since < self.max_idle

    def may_send_again(self, error: Exception) -> bool:
        """Whether the request that failed with this error, one of urllib3's, may be sent again at once."""
        if self.expired:
            return False
        if is_unsent(error):
            return True
        # After a read timeout the server has the request, and is slow.
        return self.max_idle is None and self.reuses_connection and not isinstance(error, ReadTimeoutError)


class _ThisThread(local):
    watch: Watch | None = None


class _Watchdog:
    def __init__(self) -> None:
        self._changed = Condition()
        self._number = count()
        # Ended ones stay until their deadline: to search for them would cost more than they weigh.
        self._watches: list[tuple[float, int, Watch]] = []
        self._wakes = math.inf
        self._thread: Thread | None = None

    def add(self, watch: Watch) -> None:
        with self._changed:
            heapq.heappush(self._watches, (watch.deadline, next(self._number), watch))
            if self._thread is None:
                self._thread = Thread(target=self._run, name="back-end-watchdog", daemon=True)
                self._thread.start()
            elif watch.deadline < self._wakes:
                self._changed.notify()

    def end(self, watch: Watch) -> None:
        with self._changed:
            watch.ended = True
            handle, watch.handle = watch.handle, None
        if handle is not None:
            os.close(handle)

    def attach(self, watch: Watch, connection: socket.socket) -> bool:
        """Have `connection` broken when the watch expires; False when it has."""
        handle = os.dup(connection.fileno())
        with self._changed:
            if watch.expired:
                spare: int | None = handle
            else:
                spare, watch.handle = watch.handle, handle
            expired = watch.expired
        if spare is not None:
            os.close(spare)
        return not expired

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                while self._watches and (self._watches[0][2].ended or self._watches[0][0] <= now):
                    _, _, watch = heapq.heappop(self._watches)
                    if not watch.ended:
                        _expire(watch)
                self._wakes = self._watches[0][0] if self._watches else math.inf
                self._changed.wait(self._wakes - now if self._watches else None)


def _expire(watch: Watch) -> None:
    watch.expired = True
    handle, watch.handle = watch.handle, None
    if handle is None:
        return
    try:
        with socket.socket(fileno=handle) as connection:
            connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended by itself


_this_thread: Final = _ThisThread()
_watchdog = _Watchdog()


def _after_fork() -> None:
    global _watchdog  # noqa: PLW0603 - threads and their locks do not survive a fork
    _watchdog = _Watchdog()


os.register_at_fork(after_in_child=_after_fork)


def _make(made: Future[socket.socket], connect: Callable[[], socket.socket]) -> None:
    try:
        made.set_result(connect())
    except BaseException as error:  # noqa: BLE001 - whoever waits for the connection raises it
        made.set_exception(error)


def _discard(made: Future[socket.socket]) -> None:
    if made.exception() is None:
        made.result().close()


class _WatchedConnection(HTTPConnection):
    response_class = BoundedResponse
    # When it was put into its pool (`time.monotonic()`); None for a connection that has carried no request yet.
    idle_since: float | None = None
    _is_first_write = False

    def connect(self) -> None:
        self.idle_since = None
        super().connect()

    def _new_conn(self) -> socket.socket:
        watch = _this_thread.watch
        if watch is None:
            return super()._new_conn()
        made: Future[socket.socket] = Future()
        Thread(target=_make, args=(made, super()._new_conn), name="back-end-connect", daemon=True).start()
        try:
            connection = made.result(watch.deadline - time.monotonic())
        except TimeoutError:
            made.add_done_callback(_discard)
            raise ConnectTimeoutError(self, "The call's time is up") from None
        if not _watchdog.attach(watch, connection):
            connection.close()
            raise ConnectTimeoutError(self, "The call's time is up")
        return connection

    def request(self, *args: Any, **options: Any) -> None:
        watch = _this_thread.watch
        if watch is not None:
            watch.reuses_connection = self.sock is not None and self.idle_since is not None
            if watch.handle is None and self.sock is not None:  # it is used again
                _watchdog.attach(watch, self.sock)
        self._is_first_write = True
        super().request(*args, **options)

    def send(self, data: Any) -> None:
        """See http.client. Raises UnsentError where nothing of a request could be written.

        urllib3 hides from its callers whether that was so.
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
            written = self.sock.send(data)
        except TimeoutError:
            raise
        except OSError as error:
            raise UnsentError from error
        if written < len(data):
            super().send(data[written:])

    def _is_reusable(self, idle_since: float) -> bool:
        """Asked just before the first write: the pool has looked, and this thread may have been held up since."""
        watch = _this_thread.watch
        return self.is_connected and (watch is None or watch.may_reuse(idle_since))


class _WatchedSecureConnection(_WatchedConnection, HTTPSConnection):
    pass


class _ReusingPool(HTTPConnectionPool):
    """Gives a call the pooled connections that its Watch allows, and replaces one that turns out to have ended."""

    def urlopen(self, method: str, url: str, *args: Any, **options: Any) -> BaseHTTPResponse:
        """See urllib3."""
        watch = _this_thread.watch
        if watch is not None:
            watch.reuses_connection = False
        try:
            return super().urlopen(method, url, *args, **options)
        except (HTTPError, OSError) as error:
            if watch is None or not watch.may_send_again(error):
                raise
        watch.needs_new_connection = True
        try:
            return super().urlopen(method, url, *args, **options)
        finally:
            watch.needs_new_connection = False

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        watch = _this_thread.watch
        idle_since = connection.idle_since
        if watch is not None and idle_since is not None and not watch.may_reuse(idle_since):
            connection.close()
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)


class _WatchedPool(_ReusingPool):
    ConnectionCls = _WatchedConnection


class _WatchedSecurePool(_ReusingPool, HTTPSConnectionPool):
    ConnectionCls = _WatchedSecureConnection


# The connection pools of urllib3 by scheme whose connections a Watch can end.
WATCHED_POOLS: Final = {"http": _WatchedPool, "https": _WatchedSecurePool}


class WatchedAdapter(HTTPAdapter):
    """Its connections can be ended by a Watch."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """See requests."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = WATCHED_POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """See requests."""
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = WATCHED_POOLS
        return manager
