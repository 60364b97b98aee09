"""A small HTTP server on loopback that misbehaves as told, for tests of HTTP clients."""

from __future__ import annotations

import json
import select
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from tests.support.ports import free_port

# Seconds between two looks at whether the server ends.
_LOOK = 0.02
# Seconds for a caller to come to terms about encryption.
_HANDSHAKE = 5.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A received request; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def form(self) -> dict[str, list[str]]:
        """The body as form fields."""
        return parse_qs(self.body.decode(), keep_blank_values=True)


class Visit:
    """One request and its connection."""

    def __init__(self, asked: Asked, connection: socket.socket, ending: threading.Event) -> None:
        self.asked = asked
        self.connection = connection
        self.ending = ending


# What answers a visit; False closes the connection.
Step = Callable[[Visit], bool]


def answer(
    status: int = 200,
    body: object = b"{}",
    content_type: str = "application/json",
    *,
    after: float = 0.0,
    **headers: str,
) -> Step:
    """Send a complete answer `after` seconds; a body that is neither bytes nor text is written as JSON."""

    def step(visit: Visit) -> bool:
        visit.ending.wait(after)
        visit.connection.sendall(_head(status, len(_bytes(body)), content_type, headers) + _bytes(body))
        return True

    return step


def truncated(body: bytes = b'{"id": "', status: int = 200) -> Step:
    """Send an answer with less content than announced, and close the connection."""

    def step(visit: Visit) -> bool:
        visit.connection.sendall(_head(status, len(body) + 100, "application/json", {}) + body)
        return False

    return step


def close(visit: Visit) -> bool:
    """Close the connection without an answer."""
    return False


def reset(visit: Visit) -> bool:
    """Reset the connection without an answer."""
    visit.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def hang(visit: Visit) -> bool:
    """Send nothing until the server ends."""
    visit.ending.wait()
    return False


def garbage(visit: Visit) -> bool:
    """Send bytes that are not HTTP."""
    visit.connection.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
    return False


def half(visit: Visit) -> bool:
    """Send the beginning of an answer, and then nothing."""
    visit.connection.sendall(_head(200, 1000, "application/json", {}) + b'{"a": ')
    return hang(visit)


class Loopback:
    """The server as a context manager. It performs the steps one after another, and repeats the last one.

    With `unread` it resets each connection when a request arrives, and reads nothing; with `tls` connections are
    encrypted. At its end it still takes the requests that have arrived on its connections.
    """

    def __init__(self, *steps: Step, unread: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self.steps = list(steps) or [answer()]
        self.asked: list[Asked] = []
        self.connections = 0
        self._unread = unread
        self._tls = tls
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._serve)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_LOOK,))

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ending.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
        if self._unread:
            while not self._ending.is_set() and not select.select([connection], [], [], _LOOK)[0]:
                pass
            reset(Visit(Asked("", ""), connection, self._ending))
            return
        if self._tls is None:
            self._take_steps(connection)
            return
        connection.settimeout(_HANDSHAKE)
        with self._tls.wrap_socket(connection, server_side=True) as encrypted:
            self._take_steps(encrypted)

    def _take_steps(self, connection: socket.socket) -> None:
        connection.settimeout(_LOOK)
        while (asked := self._read(connection)) is not None:
            with self._lock:
                self.asked.append(asked)
                step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
            if not step(Visit(asked, connection, self._ending)):
                return

    def _read(self, connection: socket.socket) -> Asked | None:
        raw = b""
        while b"\r\n\r\n" not in raw:
            if not (chunk := self._received(connection)):
                return None
            raw += chunk
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(body) < int(headers.get("content-length", "0")):
            if not (chunk := self._received(connection)):
                return None
            body += chunk
        method, path, _ = first.split(" ", 2)
        return Asked(method, path, headers, body)

    def _received(self, connection: socket.socket) -> bytes:
        while True:
            is_last_try = self._ending.is_set()
            try:
                return connection.recv(65536)
            except TimeoutError:
                if is_last_try:
                    return b""
            except OSError:
                return b""


def refused_url() -> str:
    """A URL at which connections are refused."""
    return f"http://127.0.0.1:{free_port()}"


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], serve: Callable[[socket.socket], None]) -> None:
        super().__init__(address, socketserver.BaseRequestHandler)
        self._serve = serve

    def finish_request(self, request: Any, client_address: Any) -> None:
        try:
            self._serve(request)
        except OSError:
            return  # the caller has given up

    def shutdown_request(self, request: Any) -> None:
        request.close()  # without a farewell: a reset has to stay one


def _head(status: int, length: int, content_type: str, headers: dict[str, str]) -> bytes:
    lines = [
        f"HTTP/1.1 {status} Whatever",
        f"Content-Length: {length}",
        f"Content-Type: {content_type}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _bytes(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body)).encode()
