"""The database of one process: its pool of connections, and the translation of psycopg's errors into UnavailableError.

A pool lasts as long as its server is available. When a check finds the server unavailable, the pool is closed: all
calls, also those that wait for a connection or an answer, fail at once. When a check finds the server available again,
a new pool is opened. Therefore no call gets a connection to an unavailable server.

A server without the tables or rights that the service needs counts as unavailable, too: calls fail with that cause, and
the checks go on until it is fixed.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Condition
from typing import Any, Final, TypeVar

import psycopg
import structlog
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from adapters.postgres.pool import UNAVAILABLE, WAIT, ServerPool
from adapters.postgres.schema import SchemaFault, find_schema_fault
from adapters.postgres.server_monitor import (
    SILENT_AFTER,
    MonitoredConnection,
    ServerMonitor,
    ServerSilentError,
)
from domain.errors import UnavailableError

T = TypeVar("T")

# Seconds that a call without a deadline waits for a connection, or for a server that has just become unavailable; also
# for a check of the tables and rights.
_WAIT_WITHOUT_DEADLINE: Final = 1.5
# Extra seconds after the deadline of a call, so that a running check can finish.
_GRACE: Final = 0.2
# Milliseconds that one statement may take, and that a transaction may be idle.
_STATEMENT_LIMIT: Final = 10_000
# Milliseconds that one statement of the pool may take: a client waits for it.
_POOL_STATEMENT_LIMIT: Final = 1_200
# Seconds for a check of the server while calls wait for its result.
_CHECK_TIMEOUT: Final = 0.7
# Seconds for a check while there is no pool: it has to connect, for which a busy machine needs more time. Calls wait
# for the first check, and fail at once while the server is unavailable.
_CHECK_TIMEOUT_WITHOUT_POOL: Final = 1.5

_NO_ANSWER: Final = "no answer"

log = structlog.get_logger()


class _ServerUnavailableError(psycopg.OperationalError):
    """The server is known to be unavailable."""


# Errors of a statement if tables or rights are missing in the database, or if the statement itself is wrong.
_SCHEMA_ERRORS: Final = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    errors.InsufficientPrivilege,
)
# After these errors an immediate second attempt is useless: it would wait as long, or fail in the same way.
_NOT_RETRIED: Final = (
    _ServerUnavailableError,
    ServerSilentError,
    errors.QueryCanceled,
    PoolTimeout,
    PoolClosed,
    TooManyRequests,
    *_SCHEMA_ERRORS,
)
# These errors are no reason to check the server.
_NOT_CHECKED: Final = (_ServerUnavailableError, errors.QueryCanceled, PoolClosed, TooManyRequests)


def session_parameters(parameters: Mapping[str, Any], *, statement_limit: int = _STATEMENT_LIMIT) -> dict[str, Any]:
    """Return the keyword arguments of `psycopg.connect`: what every session needs, overridden by libpq's `parameters`.

    - Times are UTC.
    - The isolation level is READ COMMITTED: each statement sees what was committed before it began, on which the
      counting of quotas relies.
    - A statement takes at most `statement_limit` milliseconds, a transaction is idle for at most 10 seconds, and both
      sides detect that the other side has disappeared.
    - Statements read tables by an index and in its order. With old or missing statistics the planner would otherwise
      read a whole table, or collect all rows of a tenant in a bitmap in order to sort them. JIT compilation is off: it
      takes longer than these short statements.
    """
    return {
        "connect_timeout": 3,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
        "application_name": "image-builder",
        "options": (
            f"-c timezone=UTC -c statement_timeout={statement_limit} "
            # The server must detect a disappeared client, because it keeps the client's locks; in psycopg's pipeline
            # mode no other limit applies.
            "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 "
            f"-c idle_in_transaction_session_timeout={_STATEMENT_LIMIT} "
            r"-c default_transaction_isolation=read\ committed "
            "-c enable_seqscan=off -c enable_bitmapscan=off -c jit=off"
        ),
        **parameters,
    }


def first_line(error: Exception) -> str:
    """Return the first line of an error of the server or libpq; the rest repeats the statement, or lists addresses."""
    return str(error).partition("\n")[0]


class PostgresDatabase:
    """The database, over one pool of connections in autocommit mode. Thread-safe.

    A use case must not hold a connection while it waits for anything other than the database.

    The database is in one of these states: unknown (before the first check), available, read-only (the server refuses
    to write; reads continue while the checks look for a writable server), unavailable, or faulty (tables or rights are
    missing).
    """

    def __init__(self, parameters: Mapping[str, Any], *, size: int) -> None:
        """`parameters` are those of libpq; `size` is the largest number of connections."""
        session = session_parameters(parameters, statement_limit=_POOL_STATEMENT_LIMIT)
        self._parameters = {**session, "autocommit": True}
        self._size = size
        self._monitor = ServerMonitor(self._check_server)
        # Guards the fields below, and wakes calls that wait for a change. `_pool` is set while the server is available.
        # Before the first check has ended there is no pool, but the server does not count as unavailable yet.
        self._state_changed = Condition()
        self._pool: ServerPool | None = None
        self._unavailable = self._closed = False
        # The time of `time.monotonic` by which the first check ends.
        self._first_check_ends_at = -math.inf
        # Why the service cannot use a server that answers.
        self._schema_fault: SchemaFault | None = None
        # A statement failed in a way that a schema fault would explain: the next check looks for one.
        self._is_fault_suspected = False
        # The server refused to write: it serves reads while the checks look for a writable server.
        self._read_only = False

    def open(self) -> None:
        """Start to connect in the background; return at once."""
        self._first_check_ends_at = time.monotonic() + _CHECK_TIMEOUT_WITHOUT_POOL
        self._monitor.start()

    def close(self) -> None:
        """Close all connections."""
        self._monitor.stop()
        with self._state_changed:
            pool, self._pool, self._unavailable, self._closed = self._pool, None, True, True
            self._state_changed.notify_all()
        if pool is not None:
            pool.close(timeout=5)

    def pool_usage(self) -> dict[str, int]:
        """Return the numbers of connections (`limit`, `size`: open, `in_use`) and of calls `waiting` for one."""
        pool = self._pool
        stats = {} if pool is None else pool.get_stats()
        size = stats.get("pool_size", 0)
        return {
            "limit": self._size,
            "size": size,
            "in_use": size - stats.get("pool_available", 0),
            "waiting": stats.get("requests_waiting", 0),
        }

    @contextmanager
    def connection(self, *, within: float = WAIT) -> Iterator[MonitoredConnection]:
        """Borrow a connection in autocommit mode; waits at most `within` seconds for it.

        Raises UnavailableError if the database is unavailable, if all connections stay in use, or if the database lacks
        tables or rights that the service needs. Other errors of psycopg pass through.
        """
        pool = None
        try:
            pool, connection = self._borrow(within)
            try:
                yield connection
            finally:
                pool.give_back(connection)  # the pool rolls back a transaction that is left open
        except UNAVAILABLE as error:
            self._react_to(error, pool)
            raise self._unavailable_error() from error
        except _SCHEMA_ERRORS as error:
            if self._recheck_schema():
                raise self._unavailable_error() from error
            raise

    def run_with_retry(
        self,
        work: Callable[[MonitoredConnection], T],
        *,
        attempts: int = 2,
        retry_on: tuple[type[Exception], ...] = (UnavailableError,),
        ignore_deadline: bool = False,
    ) -> T:
        """Call `work`, which must be safe to repeat, with a connection; return what it returns.

        Retries on the error types in `retry_on`, up to `attempts` calls in total, each with another connection, while
        the deadline for answering 503 has not passed. With `ignore_deadline` all attempts are made: each waits again
        for a free connection or a slow statement, and 1.5 seconds for a server that has become unavailable. Raises the
        error of the last attempt.
        """
        deadline = time.monotonic() + (_WAIT_WITHOUT_DEADLINE if ignore_deadline else WAIT)
        for attempt in range(1, attempts + 1):
            try:
                within = _WAIT_WITHOUT_DEADLINE if ignore_deadline else deadline - time.monotonic()
                with self.connection(within=within) as connection:
                    return work(connection)
            except retry_on as error:
                if attempt == attempts or not (ignore_deadline or _is_worth_retrying(error, deadline)):
                    raise
                time.sleep(0.05 * attempt)
                if not self._wait_until_available(deadline - time.monotonic()):
                    raise
        raise AssertionError("unreachable")  # pragma: no cover

    def check(self) -> None:
        """Check that the database answers. Raises UnavailableError."""
        self.run_with_retry(lambda connection: connection.execute("SELECT 1"))

    def _borrow(self, within: float) -> tuple[ServerPool, MonitoredConnection]:
        """Borrow a connection; return it and its pool. Raises _ServerUnavailableError and the pool's errors."""
        deadline = time.monotonic() + within
        while True:
            pool = self._pool or self._wait_for_pool(deadline)
            try:
                return pool, pool.borrow(max(deadline - time.monotonic(), _GRACE))
            except PoolClosed:
                if pool is self._pool:
                    raise  # otherwise a check has replaced the pool: the next iteration uses the new one

    def _wait_for_pool(self, deadline: float) -> ServerPool:
        """Return the pool as soon as a check has ended. Raises _ServerUnavailableError."""
        deadline = max(deadline, self._first_check_ends_at)
        with self._state_changed:
            self._state_changed.wait_for(
                lambda: self._pool is not None or self._unavailable, max(deadline - time.monotonic(), _GRACE)
            )
            if self._pool is None:
                raise _ServerUnavailableError("the server is unavailable")
            return self._pool

    def _wait_until_available(self, within: float) -> bool:
        """Return whether the server is available now or becomes available within this number of seconds."""
        with self._state_changed:
            return self._state_changed.wait_for(lambda: self._pool is not None, max(within, _GRACE))

    def _unavailable_error(self) -> UnavailableError:
        fault = self._schema_fault
        return UnavailableError("The database is not available" if fault is None else str(fault))

    def _recheck_schema(self) -> bool:
        """Request a check of the tables and rights, and wait for it; return whether a fault is known."""
        with self._state_changed:
            self._is_fault_suspected = True
            self._monitor.request_check()
            self._state_changed.wait_for(lambda: not self._is_fault_suspected, _WAIT_WITHOUT_DEADLINE)
            return self._schema_fault is not None

    def _react_to(self, error: Exception, pool: ServerPool | None) -> None:
        """Replace connections and request a check of the server, as the error of a call suggests."""
        if isinstance(error, ServerSilentError) and pool is not None and pool is self._pool:
            # The cause, for instance a firewall, has probably silenced the other connections of the same age, too.
            pool.replace_connections()
        if isinstance(error, errors.ReadOnlySqlTransaction):
            self._read_only = True
        if not isinstance(error, _NOT_CHECKED):
            self._monitor.request_check()

    async def _check_server(self) -> bool:
        """Open or close the pool, depending on whether the server is reachable; return whether to check again soon.

        The server counts as available while a connection of the pool works, even if no new connection can be opened:
        the server may have too many connections, or the password may have been changed.
        """
        started_at = time.monotonic()
        pool, is_fault_suspected = self._pool, self._is_fault_suspected
        failure, has_pool_answered = await asyncio.gather(
            self._try_to_connect(check_schema=pool is None or is_fault_suspected), _pool_answers(pool)
        )
        if isinstance(failure, SchemaFault):
            self._drop_pool(pool, failure)
            return True
        if is_fault_suspected:
            self._clear_suspicion()
        if failure is None:
            if pool is None or self._read_only:
                self._read_only = False
                self._replace_pool(pool)
            return False
        # All connections may be in use: their statements end within SILENT_AFTER. If the attempt to connect got no
        # answer at all, the server has had that time already.
        wait = 0.0 if failure == _NO_ANSWER else SILENT_AFTER
        if has_pool_answered or (pool is not None and await pool.has_received(started_at, wait)):
            return self._read_only
        self._read_only = False
        self._drop_pool(pool, failure)
        return True

    async def _try_to_connect(self, *, check_schema: bool) -> str | SchemaFault | None:
        """Try to open a connection; return the reason of a failure, or None.

        In the read-only state only a writable server counts. With `check_schema`, missing tables and rights count as a
        failure, too.
        """
        session_attributes = "read-write" if self._read_only else "any"
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_WITHOUT_POOL if self._pool is None else _CHECK_TIMEOUT):
                connection = await psycopg.AsyncConnection.connect(
                    **self._parameters, target_session_attrs=session_attributes
                )
                async with connection:
                    return await find_schema_fault(connection) if check_schema else None
        except TimeoutError:
            return _NO_ANSWER
        except (psycopg.Error, OSError) as error:
            return first_line(error)

    def _clear_suspicion(self) -> None:
        with self._state_changed:
            self._is_fault_suspected = False
            self._state_changed.notify_all()

    def _replace_pool(self, old_pool: ServerPool | None) -> None:
        with self._state_changed:
            if self._closed:
                return
            if self._unavailable:
                log.info("database available again")
            pool = ServerPool(self._parameters, self._size, self._monitor.request_check)
            self._pool, self._unavailable, self._schema_fault = pool, False, None
            self._state_changed.notify_all()
        if old_pool is not None:
            old_pool.abandon()

    def _drop_pool(self, pool: ServerPool | None, reason: str | SchemaFault) -> None:
        with self._state_changed:
            if self._pool is not pool:
                return
            old_fault, self._schema_fault = self._schema_fault, reason if isinstance(reason, SchemaFault) else None
            if self._schema_fault is None:
                if not self._unavailable or old_fault is not None:
                    log.warning("database unavailable", reason=reason)
            # While the database is migrated, the cause changes with each migration; the command that fixes it does not.
            elif old_fault is None or old_fault.command != self._schema_fault.command:
                log.warning(
                    "database cannot be used", reason=self._schema_fault.cause, command=self._schema_fault.command
                )
            self._pool, self._unavailable, self._is_fault_suspected = None, True, False
            self._state_changed.notify_all()
        if pool is not None:
            pool.abandon()


def _is_worth_retrying(error: Exception, deadline: float) -> bool:
    """Return whether another attempt may succeed before the deadline, a time of `time.monotonic`.

    Any error other than UnavailableError itself is worth retrying, for instance its subclass for a concurrent change:
    the database is available.
    """
    if type(error) is not UnavailableError:
        return True
    return not isinstance(error.__cause__, _NOT_RETRIED) and time.monotonic() < deadline


async def _pool_answers(pool: ServerPool | None) -> bool:
    """Return whether the server answers on a free connection of the pool; False after a timeout."""
    if pool is None:
        return False
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT):
            return await asyncio.to_thread(pool.answers)
    except TimeoutError:
        return False
