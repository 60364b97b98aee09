"""The HTTP server of one process, with a graceful shutdown: accepted requests are answered, within a time limit."""

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
from image_builder.cli.stop_signals import StopSignals
from image_builder.configuration.settings import Settings
from image_builder.http.connections import Connections
from image_builder.http.protocol import ContractProtocol

# Seconds for which a request may be in transit: until then the server waits for requests from clients that could not
# yet know of the shutdown.
_TRANSIT_TIME: Final = 1.0


def create_uvicorn_config(
    settings: Settings, service: ASGIApp | Callable[[], ASGIApp], *, factory: bool
) -> uvicorn.Config:
    """The configuration of uvicorn. `service` is the application, or creates it if `factory` is set."""
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
        reset_contextvars=True,  # otherwise a request inherits the context of the previous one on its connection
        timeout_keep_alive=75,  # seconds; longer than the 60 s for which proxies usually keep an idle connection
        timeout_graceful_shutdown=settings.serving.shutdown_timeout,
        limit_concurrency=settings.serving.max_connections,  # Connections enforces it: uvicorn would answer plain text
    )


class Server(uvicorn.Server):
    """uvicorn's server with a graceful shutdown in two phases (docs/operations.md, Shutdown).

    SIGTERM begins the grace phase: for `grace` seconds /ready answers 503 while the server still accepts connections,
    so that load balancers notice; each answer closes its connection. Then the server stops accepting connections, waits
    a second for requests that are in transit, and answers the running requests within SHUTDOWN_TIMEOUT; then it aborts
    them. SIGINT skips the grace phase and the wait for requests in transit. A further signal ends the current phase.

    `is_stop_requested` tells whether a signal arrived before the server handled signals.
    """

    def __init__(
        self, config: uvicorn.Config, grace: float, is_stop_requested: Callable[[], bool] = lambda: False
    ) -> None:
        super().__init__(config)
        self.server_state: Connections = Connections(config.limit_concurrency or sys.maxsize)
        self._grace = grace
        self._is_stop_requested = is_stop_requested
        self._stop_signals = StopSignals()
        self._announced_at = 0.0
        self._accepts_until: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; then exit at once if a stop was requested before the server handled signals."""
        await super().startup(sockets)
        if self._is_stop_requested():
            self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Begin the next phase of the shutdown. Unlike uvicorn, do not raise the signal again after the shutdown."""
        if not self._stop_signals.record(sig):
            return
        now = time.monotonic()
        if self._accepts_until is None:
            self._accepts_until = now + (self._grace if sig == signal.SIGTERM and self.started else 0)
        elif now < self._accepts_until:
            self._accepts_until = now
        else:
            self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Check whether to stop accepting connections; uvicorn calls this ten times a second."""
        if self._accepts_until is not None:
            self._announce_shutdown()
            self.should_exit = self.should_exit or time.monotonic() >= self._accepts_until
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting connections, wait for requests in transit, and end like uvicorn."""
        self._announce_shutdown()
        stopped_at = await self._stop_accepting(sockets or [])
        while not self.force_exit and self._awaits_requests(stopped_at):
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)

    def _announce_shutdown(self) -> None:
        """Let probes and clients know; a second call does nothing."""
        if self.server_state.is_ending:
            return
        self._announced_at = time.monotonic()
        self.server_state.is_ending = True
        for connection in list(self.server_state.connections):
            if isinstance(connection, ContractProtocol):
                connection.close_with_answer()
        about_to_end = self.lifespan.state.get(ABOUT_TO_END)
        if about_to_end is not None:
            about_to_end()

    async def _stop_accepting(self, listeners: list[socket.socket]) -> float:
        """Close the listeners, and return the time of that (monotonic clock).

        Connections in the backlog are accepted first: their clients regard them as established.
        """
        backlog = [connection for listener in listeners for connection in _accept_backlog(listener)]
        for server in self.servers:
            server.close()
        stopped_at = time.monotonic()
        loop = asyncio.get_running_loop()
        for connection in backlog:
            with suppress(OSError):
                await loop.connect_accepted_socket(self._create_protocol, connection)
        return stopped_at

    def _create_protocol(self) -> asyncio.Protocol:
        protocol: Any = self.config.http_protocol_class
        created: asyncio.Protocol = protocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return created

    def _awaits_requests(self, stopped_at: float) -> bool:
        """Whether a request may be in transit, on a new connection or on one that was used before the announcement."""
        if self._stop_signals.first == signal.SIGINT:
            return False  # a user waits at a terminal
        now = time.monotonic()
        waits_for_new_connections = now < stopped_at + _TRANSIT_TIME
        waits_for_used_connections = now < self._announced_at + _TRANSIT_TIME
        return any(
            isinstance(connection, ContractProtocol)
            and connection.is_idle
            and (waits_for_used_connections if connection.was_used else waits_for_new_connections)
            for connection in self.server_state.connections
        )


def _accept_backlog(listener: socket.socket) -> list[socket.socket]:
    """Accept the connections that the kernel has established but the server has not yet accepted."""
    connections = []
    # BlockingIOError says that there are no more. After any other error none can be accepted.
    with suppress(OSError):
        while True:
            connections.append(listener.accept()[0])
    return connections
