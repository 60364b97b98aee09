"""Whether the database server is there: who listens to it, and who goes and looks.

Neither libpq nor the server ends a wait for a server that has stopped, or that a network swallows: the socket is fine
and nothing comes. So every answer is waited for here for a bounded time, and as soon as somebody has reason to doubt,
one thread looks, for all.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import Thread
from typing import Any, Final, Self, TypeVar

import psycopg
import structlog
from psycopg import errors
from psycopg.abc import PQGen
from psycopg.waiting import Ready

RV = TypeVar("RV")

# Seconds without a sign of life after which the server is doubted, and those after which its connection is given up:
# more than a statement may take. Seconds after which it is given up even if something comes now and then: more than the
# statements that travel together may take.
_DOUBTED_AFTER: Final = 0.6
SILENT_AFTER: Final = 1.5
_TOO_SLOW_AFTER: Final = 3.0
# Seconds between two glances at whether others have found it away; between two looks, and between those at a server
# that is away.
_GLANCE: Final = 0.1
_PAUSE: Final = 0.1
_AWAY_PAUSE: Final = 0.5
_STOPPED_WITHIN: Final = 2.0

log = structlog.get_logger()


class SilentError(psycopg.OperationalError):
    """The server has not answered for too long, or is known to be away: nobody knows what became of the statement."""


class Hearing:
    """What the connections of one pool hear of the server. `over` tells those that wait that nothing will come."""

    __slots__ = ("doubt", "heard_at", "over")

    def __init__(self, doubt: Callable[[], None]) -> None:
        self.doubt = doubt
        self.heard_at = -math.inf
        self.over = False

    def while_there(self, answer: PQGen[RV]) -> PQGen[RV]:
        """`answer`, given up when it does not come. Raises SilentError."""
        began = last_sign = time.monotonic()
        doubted = False
        ready: int = Ready.NONE
        try:
            wanted = next(answer)
            while True:
                ready = yield wanted
                now = time.monotonic()
                if ready:
                    last_sign = now
                elif self.over or now - last_sign > SILENT_AFTER:
                    raise SilentError("the server does not answer")
                elif now - last_sign > _DOUBTED_AFTER and not doubted:
                    doubted = True
                    self.doubt()
                wanted = answer.send(ready)
                self._heard(ready)
                if now - began > _TOO_SLOW_AFTER:
                    raise SilentError("the server does not come to an end")
        except StopIteration as end:
            self._heard(ready)
            result: RV = end.value
            return result
        except errors.QueryCanceled:
            self._heard(ready)
            raise

    def _heard(self, ready: int) -> None:
        """Take note, if there was something to read: statements can also be sent without an answer."""
        if ready & Ready.R:
            self.heard_at = time.monotonic()


def heard(hearing: Hearing) -> type[psycopg.Connection[Any]]:
    """Connections that tell `hearing` what they hear, and close themselves when they hear nothing."""

    class Heard(psycopg.Connection[Any]):
        @classmethod
        def connect(cls, *arguments: Any, **parameters: Any) -> Self:
            try:
                return super().connect(*arguments, **parameters)
            except psycopg.Error:
                hearing.doubt()
                raise

        def wait(self, gen: PQGen[RV], interval: float = _GLANCE, timeout: float | None = None) -> RV:
            # Else the server keeps the answers to statements that travel together until the last one has ended.
            if self.pgconn.pipeline_status:
                self.pgconn.send_flush_request()
            try:
                return super().wait(hearing.while_there(gen), interval, timeout)
            except SilentError:
                self.close()
                raise

    return Heard


class Watch:
    """A thread that looks at once when it starts and when somebody doubts, and again and again while `look` says so.

    Looks follow each other with a pause. It is no PeriodicThread: all looks run on one event loop, because a
    look leaves threads behind that wait for a silent server; and it waits for a doubt, not for an interval.
    """

    def __init__(self, look: Callable[[], Awaitable[bool]]) -> None:
        """`look` returns whether to look again soon."""
        self._look = look
        self._ending = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._doubted: asyncio.Event | None = None
        self._thread = Thread(target=lambda: asyncio.run(self._watch()), name="database-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ending = True
        self.doubt()
        if self._thread.is_alive():
            self._thread.join(_STOPPED_WITHIN)

    def doubt(self) -> None:
        """Have it look soon; from any thread."""
        if self._loop is not None and self._doubted is not None:
            with suppress(RuntimeError):  # it has stopped
                self._loop.call_soon_threadsafe(self._doubted.set)

    async def _watch(self) -> None:
        self._doubted = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        while not self._ending:
            self._doubted.clear()
            again = await self._looked()
            await asyncio.sleep(_PAUSE)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._doubted.wait(), _AWAY_PAUSE if again else None)

    async def _looked(self) -> bool:
        try:
            return await self._look()
        except Exception as error:
            log.error("unforeseen error in the watch over the database", exc_info=error)
            return True
