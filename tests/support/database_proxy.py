"""A proxy between the service and its database, which simulates every kind of failure."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from tests.support.databases import Parameters
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE

_LOOK: Final = 0.02
# What a client asks before it says who it is: whether it may encrypt (PostgreSQL's protocol, SSLRequest and the like).
_MAY_I_ENCRYPT: Final = (80877103, 80877104)


@dataclass(slots=True)
class _Era:
    """The time between two changes; at its end connections break, or continue silently."""

    over: threading.Event = field(default_factory=threading.Event)
    breaks: bool = False


_Answer = Callable[[socket.socket, _Era], None]


class DatabaseProxy:
    """Passes connections on to the server until a failure is set. Use as a context manager.

    A silenced connection stays silent, because a network that drops a connection does not restore it.
    """

    def __init__(self, server: Parameters) -> None:
        self._server = server
        self._era = _Era()
        self._answer: _Answer = self._pass_on
        self._sockets: list[socket.socket] = []
        self._accepting: threading.Thread | None = None
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._port: int = free_port()

    @property
    def parameters(self) -> dict[str, Any]:
        """The connection parameters of the proxy."""
        return {**self._server, "host": "127.0.0.1", "port": self._port}

    def __enter__(self) -> Self:
        self.back()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ending.set()
        self._change(breaks=True)
        for thread in self._threads:
            thread.join(PATIENCE)

    def back(self) -> None:
        """Pass new connections on again; broken and silenced connections stay so."""
        self._change(breaks=False)
        self._listen(self._pass_on)

    def close_port(self) -> None:
        """Close the port, and break all connections."""
        self._change(breaks=True)

    def swallow(self) -> None:
        """Accept connections but never answer, also on existing connections."""
        self._change(breaks=False)
        self._listen(self._keep_silent)

    def fill_backlog(self) -> None:
        """Accept no connections, so that connecting hangs; existing connections are silent."""
        self._change(breaks=False)
        self._sockets.append(self._listening(backlog=0))
        for _ in range(4):
            filling = socket.socket()
            filling.setblocking(False)
            filling.connect_ex(("127.0.0.1", self._port))
            self._sockets.append(filling)

    def refuse(self, sqlstate: str, message: str) -> None:
        """Answer new connections with this error, and break all connections."""
        self._change(breaks=True)
        self._listen(partial(_refuse, sqlstate, message))

    def refuse_newcomers(self, sqlstate: str, message: str) -> None:
        """Answer new connections with this error; existing connections continue."""
        self._answer = partial(_refuse, sqlstate, message)

    def _change(self, *, breaks: bool) -> None:
        self._era.breaks = breaks
        self._era.over.set()
        self._era = _Era()
        if self._accepting is not None:
            self._accepting.join(PATIENCE)  # as long as it looks at the port, the port is taken
            self._accepting = None
        for each in self._sockets:
            each.close()
        self._sockets.clear()

    def _listen(self, answer: _Answer) -> None:
        self._answer = answer
        listener = self._listening(backlog=128)
        self._sockets.append(listener)
        self._accepting = self._run(self._accept, listener, self._era)

    def _listening(self, backlog: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen(backlog)
        return listener

    def _run(self, work: Callable[..., None], *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self, listener: socket.socket, era: _Era) -> None:
        while not era.over.is_set():
            if select.select([listener], [], [], _LOOK)[0]:
                self._run(self._serve, listener.accept()[0], self._answer, era)

    def _serve(self, connection: socket.socket, answer: _Answer, era: _Era) -> None:
        with connection, contextlib.suppress(OSError):
            answer(connection, era)

    def _keep_silent(self, _connection: socket.socket, era: _Era) -> None:
        era.over.wait()
        if not era.breaks:
            self._ending.wait()

    def _pass_on(self, connection: socket.socket, era: _Era) -> None:
        with socket.create_connection((self._server["host"], int(self._server["port"])), PATIENCE) as upstream:
            ways = {upstream: connection, connection: upstream}
            while not era.over.is_set():
                for one in select.select(ways, [], [], _LOOK)[0]:
                    if era.over.is_set():
                        break
                    if not (chunk := one.recv(65536)):
                        return
                    ways[one].sendall(chunk)
            self._keep_silent(connection, era)  # the server, too, notices nothing


def _refuse(sqlstate: str, message: str, connection: socket.socket, _era: _Era) -> None:
    """Send an ErrorResponse instead of an answer to the StartupMessage."""
    connection.settimeout(PATIENCE)
    while _startup(connection) in _MAY_I_ENCRYPT:
        connection.sendall(b"N")
    fields = {"S": "FATAL", "V": "FATAL", "C": sqlstate, "M": message}
    body = b"".join(f"{name}{text}\0".encode() for name, text in fields.items()) + b"\0"
    connection.sendall(b"E" + struct.pack("!I", len(body) + 4) + body)


def _startup(connection: socket.socket) -> int:
    """The code at the beginning of a first message; the rest of the message is discarded."""
    length, code = struct.unpack("!II", connection.recv(8, socket.MSG_WAITALL))
    if length > 8:
        connection.recv(length - 8, socket.MSG_WAITALL)
    return int(code)


Way = Callable[[DatabaseProxy], None]

# How a database can be away.
WAYS: dict[str, Way] = {
    "port closed": lambda proxy: proxy.close_port(),
    "never answers": lambda proxy: proxy.swallow(),
    "connecting hangs": lambda proxy: proxy.fill_backlog(),
    "starting up": lambda proxy: proxy.refuse("57P03", "the database system is starting up"),
    "shutting down": lambda proxy: proxy.refuse("57P03", "the database system is shutting down"),
    "too many clients": lambda proxy: proxy.refuse("53300", "sorry, too many clients already"),
    "another password": lambda proxy: proxy.refuse("28P01", 'password authentication failed for user "postgres"'),
}
