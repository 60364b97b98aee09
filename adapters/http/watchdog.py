"""Ends calls that take too long as a whole.

`requests` waits so long for each piece of an answer, however many there are: a back-end that sends a byte now and then
holds its caller for ever. Here one thread for all calls breaks the connection of a call whose time is up; whoever reads
from it finds it ended. What has no connection yet may be held by the resolver of host names, which nothing can break:
connections are made on a thread of their own, which the caller leaves behind when its time is up. That costs a fifth of
a millisecond, and only where no pooled connection is at hand.
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
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError

from adapters.http.bounded import BoundedResponse


class Watch:
    """One call of this thread, over connections of a WatchedAdapter; runs as a context manager."""

    __slots__ = ("deadline", "ended", "expired", "handle")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
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
        if watch is not None and watch.handle is None and self.sock is not None:  # it is used again
            _watchdog.attach(watch, self.sock)
        super().request(*args, **options)


class _WatchedSecureConnection(_WatchedConnection, HTTPSConnection):
    pass


class _WatchedPool(HTTPConnectionPool):
    ConnectionCls = _WatchedConnection


class _WatchedSecurePool(HTTPSConnectionPool):
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
