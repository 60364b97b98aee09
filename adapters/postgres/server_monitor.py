"""Detects that the database server does not answer, and checks on one thread whether it is reachable.

libpq waits without a limit for a server that has stopped, or whose packets the network drops: the socket stays open and
no data arrives. Therefore each wait for an answer is bounded here. As soon as a connection suspects that
the server is unavailable, one thread checks the server for all connections of the process.
"""

from __future__ import annotations

import asyncio
import math
import select
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from threading import Thread
from typing import Any, ClassVar, Final, Self, TypeVar

import psycopg
import structlog
from psycopg import errors, waiting
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus
from psycopg.waiting import Ready, Wait

RV = TypeVar("RV")

# Seconds without data from the server after which a connection requests a check of the server.
_CHECK_AFTER: Final = 0.6
# Seconds without data after which the connection is closed; longer than one statement may take.
SILENT_AFTER: Final = 1.5
# Seconds after which the connection is closed even if data arrives; longer than a pipeline of statements may take.
_TOO_SLOW_AFTER: Final = 3.0
# Seconds between two reads of `PoolActivity.server_lost` while a connection waits.
_POLL_INTERVAL: Final = 0.1
# The same for `select.poll`.
_POLL_MILLISECONDS: Final = 100
# What to poll a socket for.
_EVENTS: Final = {Wait.R: select.POLLIN, Wait.W: select.POLLOUT, Wait.RW: select.POLLIN | select.POLLOUT}
# Cursors that a connection keeps for statements that are executed often, of which there are about a dozen.
_MAX_KEPT_CURSORS: Final = 40
# Seconds between two checks.
_PAUSE: Final = 0.1
# Seconds between two checks of an unavailable server.
_PAUSE_WHILE_UNAVAILABLE: Final = 0.5
# Seconds that `stop` waits for the thread.
_STOP_TIMEOUT: Final = 2.0

log = structlog.get_logger()


class ServerSilentError(psycopg.OperationalError):
    """The server did not answer in time, or is known to be unavailable: the outcome of the statement is unknown."""


class PoolActivity:
    """The activity of the server that the connections of one pool observe.

    `received_at` is the time of `time.monotonic` at which a connection last received data. Setting `server_lost` makes
    all connections that wait for an answer give up.
    """

    __slots__ = ("received_at", "request_check", "server_lost")

    def __init__(self, request_check: Callable[[], None]) -> None:
        """`request_check` requests a check of the server and returns at once."""
        self.request_check = request_check
        self.received_at = -math.inf
        self.server_lost = False

    def wait(self, answer: PQGen[RV], descriptor: int) -> RV:
        """Run psycopg's generator `answer` to its end; `descriptor` is that of the connection's socket.

        While the server answers within a tenth of a second, nothing but the socket is watched. Raises ServerSilentError
        if the server does not answer in time.
        """
        started_at = time.monotonic()
        poll = select.poll()
        ready: int = Ready.NONE
        try:
            wait_for = next(answer)
            while True:
                poll.register(descriptor, _EVENTS[wait_for])
                events = poll.poll(_POLL_MILLISECONDS)
                if not events or time.monotonic() - started_at > _POLL_INTERVAL:
                    break
                event = events[0][1]
                # An error of the socket counts as readable: libpq finds it by reading.
                ready = (Ready.R if event & ~select.POLLOUT else 0) | (Ready.W if event & select.POLLOUT else 0)
                wait_for = answer.send(ready)
                self._update_received_at(ready)
        except StopIteration as end:
            self._update_received_at(ready)
            result: RV = end.value
            return result
        return waiting.wait(self._limit_wait(answer, wait_for, started_at), descriptor, _POLL_INTERVAL)

    def _limit_wait(self, answer: PQGen[RV], wait_for: Wait, started_at: float) -> PQGen[RV]:
        """Continue the generator `answer`, which waits for `wait_for`, but end it if the server does not answer."""
        last_activity = started_at
        check_requested = False
        ready: int = Ready.NONE
        try:
            while True:
                ready = yield wait_for
                now = time.monotonic()
                if ready:
                    last_activity = now
                elif self.server_lost or now - last_activity > SILENT_AFTER:
                    raise ServerSilentError("the server does not answer")
                elif now - last_activity > _CHECK_AFTER and not check_requested:
                    check_requested = True
                    self.request_check()
                wait_for = answer.send(ready)
                self._update_received_at(ready)
                if now - started_at > _TOO_SLOW_AFTER:
                    raise ServerSilentError("the server does not finish its answer")
        except StopIteration as end:
            self._update_received_at(ready)
            result: RV = end.value
            return result
        except errors.QueryCanceled:
            self._update_received_at(ready)
            raise

    def _update_received_at(self, ready: int) -> None:
        # Only a readable socket proves that the server is alive: data can be sent without an answer.
        if ready & Ready.R:
            self.received_at = time.monotonic()


class _KeptCursor(psycopg.Cursor[Any]):
    """A cursor that executes one statement again and again, and keeps none of its results."""

    def __init__(self, connection: psycopg.Connection[Any], statement: bytes) -> None:
        super().__init__(connection)
        self._statement = statement
        self._tx = Transformer(self)  # psycopg sets it when a statement begins, which a closed connection prevents

    def fetch(self, values: Mapping[str, Any], *, binary: bool) -> list[Any]:
        try:
            self.execute(self._statement, values, binary=binary)
            has_rows = self.pgresult is not None and self.pgresult.status == ExecStatus.TUPLES_OK
            return self.fetchall() if has_rows else []
        finally:
            self._reset()
            self._tx.set_pgresult(None)


class MonitoredConnection(psycopg.Connection[Any]):
    """A connection that reports to the `activity` of its pool, and closes itself when the server does not answer."""

    activity: ClassVar[PoolActivity]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._kept_cursors: dict[str, _KeptCursor] = {}

    @classmethod
    def connect(cls, *arguments: Any, **parameters: Any) -> Self:
        """See psycopg."""
        try:
            return super().connect(*arguments, **parameters)
        except psycopg.Error:
            cls.activity.request_check()
            raise

    def wait(self, gen: PQGen[RV], *_: object, **__: object) -> RV:
        """See psycopg. Raises ServerSilentError, too."""
        # Without a flush, the server holds back the answers of a pipeline until its last statement has ended.
        if self.pgconn.pipeline_status:
            self.pgconn.send_flush_request()
        try:
            return self.activity.wait(gen, self.pgconn.socket)
        except ServerSilentError:
            self.close()
            raise

    def close(self) -> None:
        """See psycopg."""
        self._kept_cursors.clear()  # they refer to the connection
        super().close()

    def fetch(self, statement: str, values: Mapping[str, Any], *, binary: bool = False) -> list[Any]:
        """Execute a statement that is executed often, and return its rows; `binary` is the format that they come in.

        It must not be called in a pipeline, in which rows arrive later.
        Its cursor is kept: to make one, and to find out how the values are sent, takes a quarter of the client's time.
        """
        cursor = self._kept_cursors.get(statement)
        if cursor is None:
            if len(self._kept_cursors) == _MAX_KEPT_CURSORS:
                self._kept_cursors.clear()
            cursor = self._kept_cursors[statement] = _KeptCursor(self, statement.encode())
        return cursor.fetch(values, binary=binary)


def monitored_connection_class(activity: PoolActivity) -> type[MonitoredConnection]:
    """Return a class of connections that report to `activity`."""
    return type("PoolConnection", (MonitoredConnection,), {"activity": activity})


class ServerMonitor:
    """A thread that runs a check at its start and on request, and repeats it as long as the check returns True.

    Between two checks it pauses. It is not a PeriodicThread: all checks run on one event loop, because a check may
    leave threads behind that wait for a silent server, and the thread waits for a request instead of an interval.
    """

    def __init__(self, check: Callable[[], Awaitable[bool]]) -> None:
        """`check` returns whether it has to be repeated soon."""
        self._check = check
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._requested: asyncio.Event | None = None
        self._thread = Thread(target=lambda: asyncio.run(self._run()), name="database-monitor", daemon=True)

    def start(self) -> None:
        """Start the thread, which runs the first check at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; wait for it at most two seconds."""
        self._stopping = True
        self.request_check()
        if self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT)

    def request_check(self) -> None:
        """Request a check, which starts soon. May be called from any thread."""
        if self._loop is not None and self._requested is not None:
            with suppress(RuntimeError):  # the event loop is closed: the monitor has stopped
                self._loop.call_soon_threadsafe(self._requested.set)

    async def _run(self) -> None:
        self._requested = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        while not self._stopping:
            self._requested.clear()
            repeat = await self._run_check()
            await asyncio.sleep(_PAUSE)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._requested.wait(), _PAUSE_WHILE_UNAVAILABLE if repeat else None)

    async def _run_check(self) -> bool:
        try:
            return await self._check()
        except Exception as error:
            log.error("unexpected error in the check of the database server", exc_info=error)
            return True
