"""The pool of connections to one database server, which lasts as long as that server is available."""

from __future__ import annotations

import asyncio
import logging
import math
import select
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import psycopg
from psycopg import errors
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from adapters.postgres.server_monitor import (
    SILENT_AFTER,
    MonitoredConnection,
    PoolActivity,
    monitored_connection_class,
)
from adapters.postgres.timestamps import read_all_timestamps
from ports.memory import reserved_memory

# Errors that mean that the database is unavailable.
UNAVAILABLE: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    # Other errors of the base classes of these three would be programming errors. These have external causes: a server
    # that refuses writes, or a transaction that a stopped process left open.
    errors.ReadOnlySqlTransaction,
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
    PoolTimeout,
    PoolClosed,
    TooManyRequests,
)

# Seconds that a call waits for a free connection by default. Together with the time limit of a statement this is less
# than two seconds, the promised time until an answer 503.
WAIT: Final = 0.7

# Seconds that the check `answers` waits for a free connection.
_PROBE_WAIT: Final = 0.05
# Seconds between two checks whether a busy connection has received data.
_POLL_INTERVAL: Final = 0.05
# If a request has reserved more than this many bytes, its connection is closed instead of reused: libpq never frees the
# buffer that it allocated for the largest statement or row of a connection.
_MAX_REUSED_SIZE: Final = 4 * 1024 * 1024

# The service logs an unavailable database once; the pool's logger would do so for each connection.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


class ServerPool(ConnectionPool[MonitoredConnection]):
    """The connections to the server while it is available. Thread-safe."""

    def __init__(self, parameters: Mapping[str, Any], size: int, request_check: Callable[[], None]) -> None:
        """`size` is the largest number of connections; `request_check` requests a check of the server."""
        self.activity = PoolActivity(request_check)
        self._borrowed: set[MonitoredConnection] = set()
        self._drained_at = -math.inf
        super().__init__(
            kwargs=dict(parameters),
            connection_class=monitored_connection_class(self.activity),
            configure=_configure,
            min_size=min(2, size),
            max_size=size,
            timeout=WAIT,
            max_waiting=size * 20,
            reconnect_timeout=5,
            open=True,
            name="image-builder",
        )

    def abandon(self) -> None:
        """Close the pool of a lost server: calls that wait for the server or for a connection fail at once."""
        self.activity.server_lost = True
        self.close(timeout=0)

    def replace_connections(self) -> None:
        """Replace all connections.

        Those in use are replaced when they are returned, so that running statements continue. A repetition within
        SILENT_AFTER does nothing, because the silent connections have just been replaced.
        """
        now = time.monotonic()
        if now - self._drained_at > SILENT_AFTER:
            self._drained_at = now
            self.drain()

    def borrow(self, within: float) -> MonitoredConnection:
        """Return a connection that the server has not closed; wait at most `within` seconds for it.

        The pool's own check is not used, because it waits for at least a second after each dead connection. Closed
        connections are replaced. Raises the errors of the pool.
        """
        deadline = time.monotonic() + within
        while True:
            connection = self.getconn(deadline - time.monotonic())
            if _is_open(connection):
                self._borrowed.add(connection)
                return connection
            self.activity.request_check()
            connection.close()
            self.putconn(connection)

    def give_back(self, connection: MonitoredConnection) -> None:
        """Return a borrowed connection; one that has carried large documents is closed and replaced."""
        self._borrowed.discard(connection)
        if reserved_memory() > _MAX_REUSED_SIZE:
            connection.close()
        self.putconn(connection)

    async def has_received(self, since: float, within: float) -> bool:
        """Return whether a connection has received data after `since` (of `time.monotonic`).

        Waits for connections in use until `within` seconds after `since`.
        """
        while self.activity.received_at <= since and self._borrowed and time.monotonic() < since + within:
            await asyncio.sleep(_POLL_INTERVAL)
        return self.activity.received_at > since

    def answers(self) -> bool:
        """Return whether the server answers on a free connection; False also if no connection is free."""
        try:
            connection = self.borrow(_PROBE_WAIT)
            try:
                connection.execute("SELECT 1")
            finally:
                self.give_back(connection)
        except UNAVAILABLE:
            return False
        return True


def _configure(connection: MonitoredConnection) -> None:
    """Prepare a new connection."""
    read_all_timestamps(connection)
    # libpq reads as many bytes at once as its buffer holds, which is 16 KiB until a row needs more. This row needs
    # 64 KiB, so that later a list takes a few reads instead of ten.
    connection.execute("SELECT repeat('x', 50000)")


def _is_open(connection: MonitoredConnection) -> bool:
    """Return whether the server has not closed an idle connection.

    An idle connection has nothing to read unless the server has closed it. Polling the socket needs no round trip.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)
