"""The database of one process: its pool of connections, and the translation of psycopg's errors.

A pool lasts as long as its server. When a check finds the server unavailable, the pool is closed: all calls, also those
that wait for a connection or an answer, fail at once. When a check finds the server available again, a new pool is
opened. Therefore no call gets a connection to a server that has gone.

A server whose tables or rights are not those that the service needs counts as unavailable, too: calls fail with that
cause, and the checks go on until it is mended.
"""

from __future__ import annotations

import asyncio
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
from adapters.postgres.server_monitor import SILENT_AFTER, ServerMonitor, ServerSilentError
from domain.errors import UnavailableError

T = TypeVar("T")

# Seconds that a patient caller waits for a connection, and for a server that has just become unavailable.
_PATIENT_WAIT: Final = 1.5
# Seconds that a call may still wait, when its time is over, for the result of a check that is about to succeed.
_GRACE: Final = 0.2
# Milliseconds that one statement may take, and one of the pool, for which a caller waits.
_STATEMENT_LIMIT: Final = 10_000
_POOL_STATEMENT_LIMIT: Final = 1_200
# Seconds for a check of the server while calls wait for its result, and while the server is unavailable anyway: a busy
# machine may need more time.
_CHECK_TIMEOUT: Final = 0.7
_CHECK_TIMEOUT_WHILE_AWAY: Final = 1.5

_NO_ANSWER: Final = "no answer"

log = structlog.get_logger()


class _ServerAwayError(psycopg.OperationalError):
    """The server is known to be unavailable."""


# Either the tables or the rights are not those that the service needs, or one of its statements is wrong.
_SCHEMA_ERRORS: Final = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    errors.InsufficientPrivilege,
)
# After these errors a second attempt at once is useless: it would wait as long, or fail in the same way.
_NOT_RETRIED: Final = (
    _ServerAwayError,
    ServerSilentError,
    errors.QueryCanceled,
    PoolTimeout,
    PoolClosed,
    TooManyRequests,
    *_SCHEMA_ERRORS,
)
# These errors are no reason to check the server.
_NOT_CHECKED: Final = (_ServerAwayError, errors.QueryCanceled, PoolClosed, TooManyRequests)


def session_parameters(parameters: Mapping[str, Any], *, statement_limit: int = _STATEMENT_LIMIT) -> dict[str, Any]:
    """The keyword arguments of `psycopg.connect`: libpq's `parameters`, and what every session of ours needs.

    - Times are UTC.
    - Each statement sees what was committed before it began: the counting of quotas relies on it.
    - No statement takes longer than `statement_limit` milliseconds, no transaction is idle longer than the default
      limit, and both sides notice when the other one has gone.
    - Statements read tables by an index and in its order. Otherwise the planner, with old or missing statistics, would
      read a whole table, or collect all rows of a tenant in order to sort them.
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
            # The server must notice a client that has gone, because it keeps the client's locks; and within a pipeline
            # no other limit applies.
            "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 "
            f"-c idle_in_transaction_session_timeout={_STATEMENT_LIMIT} "
            r"-c default_transaction_isolation=read\ committed "
            "-c enable_seqscan=off -c enable_bitmapscan=off -c jit=off"
        ),
        **parameters,
    }


def first_line(error: Exception) -> str:
    """The first line of an error of the server or libpq; the rest repeats the statement, or each address tried."""
    return str(error).partition("\n")[0]


class PostgresDatabase:
    """The database, over one pool of connections in autocommit mode. Thread-safe.

    A use case must not hold a connection while it waits for anything else than the database.
    """

    def __init__(self, parameters: Mapping[str, Any], *, size: int) -> None:
        """`parameters` are libpq's; `size` is the largest number of connections."""
        ours = session_parameters(parameters, statement_limit=_POOL_STATEMENT_LIMIT)
        self._parameters = {**ours, "autocommit": True}
        self._size = size
        self._monitor = ServerMonitor(self._check_server)
        # Guards the fields below. `_pool` is set while the server is available; before the first check has
        # ended there is no pool, and the server does not count as unavailable either.
        self._changed = Condition()
        self._pool: ServerPool | None = None
        self._away = self._closed = False
        # Why the service cannot use a server that answers.
        self._fault: SchemaFault | None = None
        # A statement failed in a way that such a fault would explain: the next check looks for one.
        self._fault_suspected = False
        # The server refused to write: it serves reads while the checks look for a writable one in its place.
        self._read_only = False

    def open(self) -> None:
        """Begin to connect; returns at once, also while the server is unavailable."""
        self._monitor.start()

    def close(self) -> None:
        """Close all connections."""
        self._monitor.stop()
        with self._changed:
            pool, self._pool, self._away, self._closed = self._pool, None, True, True
            self._changed.notify_all()
        if pool is not None:
            pool.close(timeout=5)

    def pool_usage(self) -> dict[str, int]:
        """Numbers of connections: `limit`, `size` (open), `in_use`; and of calls that are `waiting` for one."""
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
    def connection(self, *, within: float = WAIT) -> Iterator[psycopg.Connection[Any]]:
        """A connection in autocommit mode, got within so many seconds.

        Raises UnavailableError when the database is unavailable, when all connections stay in use, and when the
        database lacks tables or rights that the service needs.
        """
        pool = None
        try:
            pool, connection = self._borrow(within)
            try:
                with connection:
                    yield connection
            finally:
                pool.give_back(connection)
        except UNAVAILABLE as error:
            self._react_to(error, pool)
            raise self._unavailable_error() from error
        except _SCHEMA_ERRORS as error:
            if self._has_fault():
                raise self._unavailable_error() from error
            raise

    def run_with_retry(
        self,
        work: Callable[[psycopg.Connection[Any]], T],
        *,
        attempts: int = 2,
        after: tuple[type[Exception], ...] = (UnavailableError,),
        patient: bool = False,
    ) -> T:
        """Call `work`, which must be safe to repeat, with a connection; returns what it returns.

        It is repeated `after` these errors, up to `attempts` calls in all, each with another connection, as long as a
        refusal would still be in time. A `patient` caller makes all attempts however late it gets: it waits again for a
        free connection, for a slow statement, and for a while for a server that has become unavailable. Raises the
        error of the last attempt.
        """
        ends = time.monotonic() + (_PATIENT_WAIT if patient else WAIT)
        for attempt in range(1, attempts + 1):
            try:
                with self.connection(within=_PATIENT_WAIT if patient else ends - time.monotonic()) as connection:
                    return work(connection)
            except after as error:
                if attempt == attempts or not (patient or _is_worth_retrying(error, ends)):
                    raise
                time.sleep(0.05 * attempt)
                if not self._wait_until_available(ends - time.monotonic()):
                    raise
        raise AssertionError("unreachable")  # pragma: no cover

    def check(self) -> None:
        """Return when the database answers. Raises UnavailableError."""
        self.run_with_retry(lambda connection: connection.execute("SELECT 1"))

    def _borrow(self, within: float) -> tuple[ServerPool, psycopg.Connection[Any]]:
        """The pool and a connection of it. Raises _ServerAwayError and the pool's errors."""
        deadline = time.monotonic() + within
        while True:
            pool = self._pool or self._wait_for_pool(deadline)
            try:
                return pool, pool.borrow(max(deadline - time.monotonic(), _GRACE))
            except PoolClosed:
                if pool is self._pool:
                    raise  # otherwise a check has replaced the pool: the next round takes the new one

    def _wait_for_pool(self, deadline: float) -> ServerPool:
        """The pool, as soon as a check has ended. Raises _ServerAwayError."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._pool is not None or self._away, max(deadline - time.monotonic(), _GRACE)
            )
            if self._pool is None:
                raise _ServerAwayError("the server is unavailable")
            return self._pool

    def _wait_until_available(self, within: float) -> bool:
        """Whether the server is available now, or becomes so within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._pool is not None, max(within, _GRACE))

    def _unavailable_error(self) -> UnavailableError:
        fault = self._fault
        return UnavailableError("The database is not available" if fault is None else str(fault))

    def _has_fault(self) -> bool:
        """Have a check of the tables and rights run, and wait for its result: whether it finds a fault."""
        with self._changed:
            self._fault_suspected = True
            self._monitor.request_check()
            self._changed.wait_for(lambda: not self._fault_suspected, _PATIENT_WAIT)
            return self._fault is not None

    def _react_to(self, error: Exception, pool: ServerPool | None) -> None:
        """Replace connections and request a check of the server, as the error of a call suggests."""
        if isinstance(error, ServerSilentError) and pool is not None and pool is self._pool:
            # What silenced one connection (such as a firewall) has probably silenced the others of its age.
            pool.replace_connections()
        if isinstance(error, errors.ReadOnlySqlTransaction):
            self._read_only = True
        if not isinstance(error, _NOT_CHECKED):
            self._monitor.request_check()

    async def _check_server(self) -> bool:
        """Open or close the pool as the server is found to be; returns whether to check again soon.

        The server counts as available while a connection of the pool works, even if no new connection can be opened:
        there may be too many, or the password may have been changed.
        """
        began = time.monotonic()
        pool, suspected = self._pool, self._fault_suspected
        failure, pool_answers = await asyncio.gather(
            self._try_to_connect(check_schema=pool is None or suspected), _answers(pool)
        )
        if isinstance(failure, SchemaFault):
            self._drop_pool(pool, failure)
            return True
        if suspected:
            self._clear_suspicion()
        if failure is None:
            if pool is None or self._read_only:
                self._read_only = False
                self._replace_pool(pool)
            return False
        # All connections may be in use: their statements end within SILENT_AFTER. If the attempt to connect got no
        # answer at all, the server has had that time already.
        patience = 0.0 if failure == _NO_ANSWER else SILENT_AFTER
        if pool_answers or (pool is not None and await pool.has_received(began, patience)):
            return self._read_only
        self._read_only = False
        self._drop_pool(pool, failure)
        return True

    async def _try_to_connect(self, *, check_schema: bool) -> str | SchemaFault | None:
        """Why no new connection can be opened, None where one can; to a writable server if one is looked for.

        `check_schema`: also look for tables and rights that are missing.
        """
        wanted = "read-write" if self._read_only else "any"
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_WHILE_AWAY if self._away else _CHECK_TIMEOUT):
                connection = await psycopg.AsyncConnection.connect(**self._parameters, target_session_attrs=wanted)
                async with connection:
                    return await find_schema_fault(connection) if check_schema else None
        except TimeoutError:
            return _NO_ANSWER
        except (psycopg.Error, OSError) as error:
            return first_line(error)

    def _clear_suspicion(self) -> None:
        with self._changed:
            self._fault_suspected = False
            self._changed.notify_all()

    def _replace_pool(self, before: ServerPool | None) -> None:
        with self._changed:
            if self._closed:
                return
            if self._away:
                log.info("database available again")
            pool = ServerPool(self._parameters, self._size, self._monitor.request_check)
            self._pool, self._away, self._fault = pool, False, None
            self._changed.notify_all()
        if before is not None:
            before.abandon()

    def _drop_pool(self, pool: ServerPool | None, reason: str | SchemaFault) -> None:
        with self._changed:
            if self._pool is not pool:
                return
            before, self._fault = self._fault, reason if isinstance(reason, SchemaFault) else None
            if self._fault is None:
                if not self._away or before is not None:
                    log.warning("database unavailable", reason=reason)
            # While the database is migrated, the cause changes with each migration, and the command does not.
            elif before is None or before.command != self._fault.command:
                log.warning("database cannot be used", reason=self._fault.cause, command=self._fault.command)
            self._pool, self._away, self._fault_suspected = None, True, False
            self._changed.notify_all()
        if pool is not None:
            pool.abandon()


def _is_worth_retrying(error: Exception, ends: float) -> bool:
    """Whether another attempt may succeed in time; `ends` is of `time.monotonic`.

    A subclass of UnavailableError means that another writer was faster: the database is available, and the next
    attempt may be the first.
    """
    if type(error) is not UnavailableError:
        return True
    return not isinstance(error.__cause__, _NOT_RETRIED) and time.monotonic() < ends


async def _answers(pool: ServerPool | None) -> bool:
    if pool is None:
        return False
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT):
            return await asyncio.to_thread(pool.answers)
    except TimeoutError:
        return False
