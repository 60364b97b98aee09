"""One pool of connections a process, and what its errors mean to the rest of the service."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import psycopg
from psycopg import errors
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from domain.errors import UnavailableError

T = TypeVar("T")

# Seconds a request waits for a free connection, and milliseconds one statement may take.
_POOL_WAIT: Final = 1.5
_STATEMENT_LIMIT: Final = 10_000

_AWAY: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.ReadOnlySqlTransaction,
    PoolTimeout,
    PoolClosed,
    TooManyRequests,
)


def session_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """`parameters` of libpq (singly, never pasted into a URL) plus what every session of ours wants.

    Whatever the server defaults to, times are UTC, and each statement sees what was committed before it, as the
    counting of quotas needs. No statement and no idle transaction outlives its limit; a server that is gone is
    noticed. Statements enter by an index and follow its order, also where the planner's statistics are old or missing
    and it would read a whole table, or collect a tenant's rows to sort them.
    """
    return {
        "connect_timeout": 3,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
        "application_name": "image-builder",
        "options": (
            f"-c timezone=UTC -c statement_timeout={_STATEMENT_LIMIT} "
            f"-c idle_in_transaction_session_timeout={_STATEMENT_LIMIT} "
            r"-c default_transaction_isolation=read\ committed "
            "-c enable_seqscan=off -c enable_bitmapscan=off -c jit=off"
        ),
        **parameters,
    }


class PostgresDatabase:
    """The pool. Connections are in autocommit; a use case never holds one while it waits for anybody else."""

    def __init__(self, parameters: Mapping[str, Any], *, size: int) -> None:
        self._pool = ConnectionPool(
            kwargs={**session_parameters(parameters), "autocommit": True},
            min_size=min(2, size),
            max_size=size,
            timeout=_POOL_WAIT,
            max_waiting=size * 20,
            reconnect_timeout=5,
            open=False,
            name="image-builder",
        )

    def open(self) -> None:
        """Begin to connect; returns at once, also while the server is away."""
        self._pool.open(wait=False)

    def close(self) -> None:
        """Give all connections back."""
        self._pool.close(timeout=5)

    def use(self) -> dict[str, int]:
        """How many connections there may be (`limit`), are (`size`), are `in_use` or made, how many wait for one."""
        stats = self._pool.get_stats()
        return {
            "limit": stats["pool_max"],
            "size": stats["pool_size"],
            "in_use": stats["pool_size"] - stats["pool_available"],
            "waiting": stats["requests_waiting"],
        }

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection in autocommit. Raises UnavailableError when the database is away or too busy."""
        try:
            connection = self._living()
            try:
                with connection:
                    yield connection
            finally:
                self._pool.putconn(connection)
        except _AWAY as error:
            raise UnavailableError("The database is not available") from error

    def _living(self) -> psycopg.Connection[Any]:
        """A connection of the pool, those passed over whose server has gone: the pool replaces them.

        The pool's own check waits a second and more after each dead connection.
        """
        while True:
            connection = self._pool.getconn()
            if _alive(connection):
                return connection
            connection.close()
            self._pool.putconn(connection)

    def again(
        self,
        work: Callable[[psycopg.Connection[Any]], T],
        *,
        attempts: int = 2,
        after: tuple[type[Exception], ...] = (UnavailableError,),
        patient: bool = False,
    ) -> T:
        """What `work`, which may be repeated without harm, makes of a connection; a broken one is replaced.

        It is repeated `after` these errors, and waits again for a free connection if `patient`. Raises the last error
        after the last attempt.
        """
        for attempt in range(1, attempts + 1):
            try:
                with self.connection() as connection:
                    return work(connection)
            except after as error:
                busy = isinstance(error.__cause__, PoolTimeout | TooManyRequests | PoolClosed)
                if attempt == attempts or (busy and not patient):
                    raise
                time.sleep(0.05 * attempt)
        raise AssertionError("unreachable")  # pragma: no cover

    def check(self) -> None:
        """Return when the database answers. Raises UnavailableError."""
        self.again(lambda connection: connection.execute("SELECT 1"))


def _alive(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server has not hung up while the connection lay in the pool.

    An idle connection has nothing to read, unless it was told goodbye: asking the socket costs no trip to the server.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)
