"""One pool of connections a process, and what its errors mean to the rest of the service.

The pool lasts as long as its server: when the server is found to be away, all calls fail at once, those that wait for
it included, and when it is found again, there is a new pool. So nobody meets connections of a server that is no more.
"""

from __future__ import annotations

import asyncio
import logging
import math
import select
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Condition
from typing import Any, Final, TypeVar

import psycopg
import structlog
from psycopg import errors
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from adapters.postgres.presence import SILENT_AFTER, Hearing, SilentError, Watch, heard
from adapters.postgres.timestamps import read_all_timestamps
from domain.errors import UnavailableError
from ports.memory import reserved_memory

T = TypeVar("T")

# Seconds within which a call gets a free connection and begins again: together with the time for a statement they are
# less than the two that a refusal may take. Seconds that a caller who has reason to be patient waits for a connection,
# and for a server that has just gone.
_WAIT: Final = 0.7
_PATIENCE: Final = 1.5
# Milliseconds one statement may take; of the pool's, which somebody waits for.
_STATEMENT_LIMIT: Final = 10_000
_POOL_STATEMENT_LIMIT: Final = 1_200
# Seconds for a look at the server, while somebody waits for what comes of it and while nobody does: a machine that is
# short of time may need more of it. Seconds for a free connection to ask the server by.
_LOOK: Final = 0.7
_LOOK_WHEN_AWAY: Final = 1.5
_AT_HAND: Final = 0.05
# Seconds between two glances at whether a busy connection has heard something.
_GLANCE: Final = 0.05
# Seconds that a look takes when all is well: what a call has left to find out that the server is there again.
_MOMENT: Final = 0.2

# libpq never gives back what it has buffered for the largest statement or row of a connection: so many bytes that were
# reserved for a request make its connections too large to be kept.
_LARGE: Final = 4 * 1024 * 1024

_NO_ANSWER: Final = "no answer"

_AWAY: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    # The others of their class are mistakes of ours. Two of them end a process that was stopped within a transaction.
    errors.ReadOnlySqlTransaction,
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
    PoolTimeout,
    PoolClosed,
    TooManyRequests,
)

log = structlog.get_logger()
# What it has to say is said here, once, instead of for each connection.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


class _AwayError(psycopg.OperationalError):
    """The server is known to be away."""


# Who has met one of these need not try again at once; the next one would wait as long or be refused the same way.
_IN_VAIN: Final = (_AwayError, SilentError, errors.QueryCanceled, PoolTimeout, PoolClosed, TooManyRequests)
# These say nothing about whether the server is there.
_NO_DOUBT: Final = (_AwayError, errors.QueryCanceled, PoolClosed, TooManyRequests)


def session_parameters(parameters: Mapping[str, Any], *, statement_limit: int = _STATEMENT_LIMIT) -> dict[str, Any]:
    """`parameters` of libpq (singly, never pasted into a URL) plus what every session of ours wants.

    Whatever the server defaults to, times are UTC, and each statement sees what was committed before it, as the
    counting of quotas needs. No statement outlives its limit, in milliseconds, and no idle transaction its own; a
    server that is gone is noticed. Statements enter by an index and follow its order, also where the planner's
    statistics are old or missing and it would read a whole table, or collect a tenant's rows to sort them.
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
            # The server, too, notices who is gone: it may keep his locks, and in the midst of statements that travel
            # together no other limit applies.
            "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 "
            f"-c idle_in_transaction_session_timeout={_STATEMENT_LIMIT} "
            r"-c default_transaction_isolation=read\ committed "
            "-c enable_seqscan=off -c enable_bitmapscan=off -c jit=off"
        ),
        **parameters,
    }


def first_line(error: Exception) -> str:
    """What a server or libpq says in short: what follows tells of the statement, or of each address that was tried."""
    return str(error).partition("\n")[0]


class _Pool(ConnectionPool[psycopg.Connection[Any]]):
    """The connections to the server as long as it is there."""

    def __init__(self, parameters: Mapping[str, Any], size: int, doubt: Callable[[], None]) -> None:
        self.hearing = Hearing(doubt)
        self._lent: set[psycopg.Connection[Any]] = set()
        self._distrusted_at = -math.inf
        super().__init__(
            kwargs=dict(parameters),
            connection_class=heard(self.hearing),
            configure=read_all_timestamps,
            min_size=min(2, size),
            max_size=size,
            timeout=_WAIT,
            max_waiting=size * 20,
            reconnect_timeout=5,
            open=True,
            name="image-builder",
        )

    def end(self) -> None:
        """Let go of the server: whoever waits for it, or for a connection, waits no more."""
        self.hearing.over = True
        self.close(timeout=0)

    def distrust(self) -> None:
        """Have others in the place of all connections, of those in use after it; whoever waits for an answer may.

        Who is silent now, and was asked before the last time, has been replaced then.
        """
        now = time.monotonic()
        if now - self._distrusted_at > SILENT_AFTER:
            self._distrusted_at = now
            self.drain()

    def living(self, within: float) -> psycopg.Connection[Any]:
        """A connection, those passed over whose server has hung up: they are replaced.

        The pool's own check waits a second and more after each dead connection.
        """
        deadline = time.monotonic() + within
        while True:
            connection = self.getconn(deadline - time.monotonic())
            if _alive(connection):
                self._lent.add(connection)
                return connection
            self.hearing.doubt()
            connection.close()
            self.putconn(connection)

    def give_back(self, connection: psycopg.Connection[Any]) -> None:
        """What was got as living; one that has carried large documents is replaced."""
        self._lent.discard(connection)
        if reserved_memory() > _LARGE:
            connection.close()
        self.putconn(connection)

    async def heard(self, since: float, within: float) -> bool:
        """Whether any connection has heard something; those in use are waited for, until so many seconds `since`."""
        while self.hearing.heard_at <= since and self._lent and time.monotonic() < since + within:
            await asyncio.sleep(_GLANCE)
        return self.hearing.heard_at > since

    def answers(self) -> bool:
        """Whether a connection at hand still works."""
        try:
            connection = self.living(_AT_HAND)
            try:
                connection.execute("SELECT 1")
            finally:
                self.give_back(connection)
        except _AWAY:
            return False
        return True


class PostgresDatabase:
    """The pool. Connections are in autocommit; a use case never holds one while it waits for anybody else."""

    def __init__(self, parameters: Mapping[str, Any], *, size: int) -> None:
        ours = session_parameters(parameters, statement_limit=_POOL_STATEMENT_LIMIT)
        self._parameters = {**ours, "autocommit": True}
        self._size = size
        self._watch = Watch(self._look)
        # The pool, while the server is there; until one knows, it is neither there nor away.
        self._changed = Condition()
        self._pool: _Pool | None = None
        self._away = self._closed = False
        # A server that takes no writes is used for reading, while another is looked for in its place.
        self._refused_writes = False

    def open(self) -> None:
        """Begin to connect; returns at once, also while the server is away."""
        self._watch.start()

    def close(self) -> None:
        """Give all connections back."""
        self._watch.stop()
        with self._changed:
            pool, self._pool, self._away, self._closed = self._pool, None, True, True
            self._changed.notify_all()
        if pool is not None:
            pool.close(timeout=5)

    def use(self) -> dict[str, int]:
        """How many connections there may be (`limit`), are (`size`), are `in_use` or made, how many wait for one."""
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
    def connection(self, *, within: float = _WAIT) -> Iterator[psycopg.Connection[Any]]:
        """A connection in autocommit, got within so many seconds.

        Raises UnavailableError when the database is away or too busy.
        """
        pool = None
        try:
            pool, connection = self._taken(within)
            try:
                with connection:
                    yield connection
            finally:
                pool.give_back(connection)
        except _AWAY as error:
            self._consider(error, pool)
            raise UnavailableError("The database is not available") from error

    def again(
        self,
        work: Callable[[psycopg.Connection[Any]], T],
        *,
        attempts: int = 2,
        after: tuple[type[Exception], ...] = (UnavailableError,),
        patient: bool = False,
    ) -> T:
        """What `work`, which may be repeated without harm, makes of a connection; a broken one is replaced.

        It is repeated `after` these errors, but not once a refusal would come too late. Who is `patient` waits again
        for a free connection, for a statement that takes too long, and a while for a server that has gone: all the
        attempts, however late that gets. Raises the last error after the last attempt.
        """
        ends = time.monotonic() + (_PATIENCE if patient else _WAIT)
        for attempt in range(1, attempts + 1):
            try:
                with self.connection(within=_PATIENCE if patient else ends - time.monotonic()) as connection:
                    return work(connection)
            except after as error:
                if attempt == attempts or not (patient or _worthwhile(error, ends)):
                    raise
                time.sleep(0.05 * attempt)
                if not self._there(ends - time.monotonic()):
                    raise
        raise AssertionError("unreachable")  # pragma: no cover

    def check(self) -> None:
        """Return when the database answers. Raises UnavailableError."""
        self.again(lambda connection: connection.execute("SELECT 1"))

    def _taken(self, within: float) -> tuple[_Pool, psycopg.Connection[Any]]:
        """A pool and a connection of it. Raises _AwayError and the pool's errors."""
        deadline = time.monotonic() + within
        while True:
            pool = self._pool or self._found(deadline)
            try:
                return pool, pool.living(max(deadline - time.monotonic(), _MOMENT))
            except PoolClosed:
                if pool is self._pool:
                    raise  # somebody has closed it from outside

    def _found(self, deadline: float) -> _Pool:
        """The pool, as soon as one knows whether the server is there."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._pool is not None or self._away, max(deadline - time.monotonic(), _MOMENT)
            )
            if self._pool is None:
                raise _AwayError("the server is away")
            return self._pool

    def _there(self, within: float) -> bool:
        """Whether the server is there, or will be within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._pool is not None, max(within, _MOMENT))

    def _consider(self, error: Exception, pool: _Pool | None) -> None:
        """Draw conclusions from what a call has met with."""
        if isinstance(error, SilentError) and pool is not None and pool is self._pool:
            # What silences one connection is likely to have silenced those of its age, too; or it was only this one.
            pool.distrust()
        if isinstance(error, errors.ReadOnlySqlTransaction):
            self._refused_writes = True
        if not isinstance(error, _NO_DOUBT):
            self._watch.doubt()

    async def _look(self) -> bool:
        """Find out whether the server is there; True where that should be looked at again soon.

        A connection that works counts for more than that no other can be had: there may be too many, or the password
        may be a new one.
        """
        began = time.monotonic()
        pool = self._pool
        reason, works = await asyncio.gather(self._unreachable(), _answers(pool))
        if reason is None:
            if pool is None or self._refused_writes:
                self._refused_writes = False
                self._renew(pool)
            return False
        # Connections may all be busy, but in that time every statement ends. A server that has not answered the knock
        # either has had its time.
        patience = 0.0 if reason == _NO_ANSWER else SILENT_AFTER
        if works or (pool is not None and await pool.heard(began, patience)):
            return self._refused_writes
        self._refused_writes = False
        self._lose(pool, reason)
        return True

    async def _unreachable(self) -> str | None:
        """Why no connection can be had, None where one can: to a server that takes writes, if one is looked for."""
        wanted = "read-write" if self._refused_writes else "any"
        try:
            async with asyncio.timeout(_LOOK_WHEN_AWAY if self._away else _LOOK):
                connection = await psycopg.AsyncConnection.connect(**self._parameters, target_session_attrs=wanted)
                await connection.close()
        except TimeoutError:
            return _NO_ANSWER
        except (psycopg.Error, OSError) as error:
            return first_line(error)
        return None

    def _renew(self, before: _Pool | None) -> None:
        with self._changed:
            if self._closed:
                return
            if self._away:
                log.info("the database is there again")
            pool = _Pool(self._parameters, self._size, self._watch.doubt)
            self._pool, self._away = pool, False
            self._changed.notify_all()
        if before is not None:
            before.end()

    def _lose(self, pool: _Pool | None, reason: str) -> None:
        with self._changed:
            if self._pool is not pool:
                return
            if not self._away:
                log.warning("the database is away", reason=reason)
            self._pool, self._away = None, True
            self._changed.notify_all()
        if pool is not None:
            pool.end()


def _worthwhile(error: Exception, ends: float) -> bool:
    """Whether to try again after this error, if one has until `ends`.

    What somebody else has been faster at is of another kind: the database is there, and the next attempt may be ours.
    """
    if type(error) is not UnavailableError:
        return True
    return not isinstance(error.__cause__, _IN_VAIN) and time.monotonic() < ends


async def _answers(pool: _Pool | None) -> bool:
    if pool is None:
        return False
    try:
        async with asyncio.timeout(_LOOK):
            return await asyncio.to_thread(pool.answers)
    except TimeoutError:
        return False


def _alive(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server has not hung up while the connection lay in the pool.

    An idle connection has nothing to read, unless it was told goodbye: asking the socket costs no trip to the server.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)
