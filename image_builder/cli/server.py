"""The HTTP server of one process, which ends without cutting a request that it accepted."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from image_builder.app import ABOUT_TO_END
from image_builder.cli.ending import Requests
from image_builder.configuration.settings import Settings
from image_builder.http.connections import Connections
from image_builder.http.protocol import ContractProtocol

# Seconds after the last moment at which a client could know of it, for a request that was on its way.
_ON_ITS_WAY: Final = 1.0


def configuration(settings: Settings, service: ASGIApp | Callable[[], ASGIApp], *, factory: bool) -> uvicorn.Config:
    """What uvicorn has to know."""
    return uvicorn.Config(
        service,
        factory=factory,
        workers=1,
        host=settings.serving.host,
        port=settings.serving.port,
        loop="uvloop",
        http=ContractProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        reset_contextvars=True,  # else a request takes over what is known of the one before it on its connection
        timeout_keep_alive=75,
        timeout_graceful_shutdown=settings.serving.shutdown_timeout,
        limit_concurrency=settings.serving.max_connections,  # Connections enforces it: uvicorn would answer plain text
    )


class Server(uvicorn.Server):
    """uvicorn's server with a longer farewell.

    SIGTERM: the service says that it is not ready, and goes on taking in connections for `grace` seconds, until load
    balancers have noticed; a connection is closed with the answer that is given on it. Then no more is taken in, and
    what runs is finished, for as long as uvicorn's configuration says. SIGINT: the same without the first part. A
    further signal leaves out that part, or does not wait for what runs.

    `asked` tells whether somebody wanted the end before the server listened for signals.
    """

    def __init__(self, config: uvicorn.Config, grace: float, asked: Callable[[], bool] = lambda: False) -> None:
        super().__init__(config)
        self.server_state: Connections = Connections(config.limit_concurrency or sys.maxsize)
        self._grace = grace
        self._asked = asked
        self._requests = Requests()
        self._began = 0.0
        self._accepts_until: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; only to end at once where that is wanted already."""
        await super().startup(sockets)
        if self._asked():
            self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Note a signal. Unlike uvicorn's own it is not raised again at the end: it has been obeyed then."""
        if not self._requests.note(sig):
            return
        now = time.monotonic()
        if self._accepts_until is None:
            self._accepts_until = now + (self._grace if sig == signal.SIGTERM and self.started else 0)
        elif now < self._accepts_until:
            self._accepts_until = now
        else:
            self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether it is time to stop taking in connections."""
        if self._accepts_until is not None:
            self._announce()
            self.should_exit = self.should_exit or time.monotonic() >= self._accepts_until
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take in no more, let requests arrive that are on their way, and end as uvicorn does."""
        self._announce()
        stopped = await self._stop_accepting(sockets or [])
        while not self.force_exit and self._awaits_requests(stopped):
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)

    def _announce(self) -> None:
        """Tell probes and clients. Doing so again does no harm."""
        if self.server_state.is_ending:
            return
        self._began = time.monotonic()
        self.server_state.is_ending = True
        for connection in list(self.server_state.connections):
            if isinstance(connection, ContractProtocol):
                connection.close_with_answer()
        about_to_end = self.lifespan.state.get(ABOUT_TO_END)
        if about_to_end is not None:
            about_to_end()

    async def _stop_accepting(self, listeners: list[socket.socket]) -> float:
        """Close the listeners, and give the time of that.

        Clients whose connection waits to be taken in do not know that it does: it is taken in.
        """
        waiting = [connection for listener in listeners for connection in _waiting(listener)]
        for server in self.servers:
            server.close()
        stopped = time.monotonic()
        loop = asyncio.get_running_loop()
        for connection in waiting:
            with suppress(OSError):
                await loop.connect_accepted_socket(self._protocol, connection)
        return stopped

    def _protocol(self) -> asyncio.Protocol:
        protocol: Any = self.config.http_protocol_class
        made: asyncio.Protocol = protocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    def _awaits_requests(self, stopped: float) -> bool:
        """Whether one may be on its way, on a connection that is new or was used before the end was announced."""
        if self._requests.first == signal.SIGINT:
            return False  # somebody waits at a terminal
        now = time.monotonic()
        new, used = now < stopped + _ON_ITS_WAY, now < self._began + _ON_ITS_WAY
        return any(
            isinstance(connection, ContractProtocol) and connection.is_idle and (used if connection.was_used else new)
            for connection in self.server_state.connections
        )


def _waiting(listener: socket.socket) -> list[socket.socket]:
    """The connections that the system has made and nobody has taken in."""
    connections = []
    with suppress(OSError):  # BlockingIOError: there are no more
        while True:
            connections.append(listener.accept()[0])
    return connections
