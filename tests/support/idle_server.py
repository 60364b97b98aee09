"""A composer that closes idle connections in every way in which servers and proxies do so."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any, Self
from uuid import uuid4

from tests.support.waiting import PATIENCE


class Closing(StrEnum):
    """The way in which an idle connection is closed."""

    AT_ONCE = "FIN"
    RESET = "RST"
    # The server reads no more, and its FIN arrives some time later, as from behind a proxy or a slow network.
    LATE = "late FIN"
    LATE_RESET = "late RST"


class IdleServer:
    """The server as a context manager. It answers each POST with 201 and a new id, and every other request with 200.

    A connection that is idle for `idle` seconds after an answer is closed; with Closing.LATE and Closing.LATE_RESET its
    end arrives `late` seconds later.
    """

    def __init__(self, closing: Closing, *, idle: float, late: float, tls: ssl.SSLContext | None = None) -> None:
        self.idle = idle
        self.connections = 0
        # How many times the request of each name was posted (see request_named).
        self.posted: Counter[str] = Counter()
        self._late = late if closing in {Closing.LATE, Closing.LATE_RESET} else 0.0
        self._resets = closing in {Closing.RESET, Closing.LATE_RESET}
        self._tls = tls
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._serve)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def window(self) -> tuple[float, float]:
        """The range of idle seconds after which the client may not know that a connection was closed."""
        return self.idle - 0.002, self.idle + max(self._late, 0.002)

    def moment(self) -> float:
        """A random time within `window`."""
        return random.uniform(*self.window)  # noqa: S311 - not for cryptography

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with connection:
            is_open = self._answers(connection, PATIENCE)
            while is_open:
                is_open = self._answers(connection, self.idle)
            time.sleep(self._late)
            if self._resets:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif self._tls is not None and not self._late:
                connection.settimeout(0.0)
                with contextlib.suppress(OSError):
                    connection.unwrap()  # type: ignore[attr-defined]  # a farewell of TLS, before the FIN

    def _answers(self, connection: socket.socket, idle: float) -> bool:
        """Whether a request arrived before the connection had been idle for this number of seconds."""
        connection.settimeout(idle)
        try:
            raw = connection.recv(65536)
        except TimeoutError:
            return False
        connection.settimeout(PATIENCE)
        while raw and b"\r\n\r\n" not in raw:
            raw += connection.recv(65536)
        head, _, body = raw.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        while raw and len(body) < length:
            piece = connection.recv(65536)
            if not piece:
                return False
            body += piece
        if not raw:
            return False
        if head.startswith(b"POST "):
            with self._lock:
                self.posted[_name(json.loads(body))] += 1
            connection.sendall(_answer(201, {"id": str(uuid4())}))
        else:
            connection.sendall(_answer(200, {}))
        return True


def request_named(name: str) -> dict[str, Any]:
    """A request to the composer that the server counts under this name."""
    return {"customizations": {"hostname": name}}


def _name(request: dict[str, Any]) -> str:
    name: str = request["customizations"]["hostname"]
    return name


def _answer(status: int, document: object) -> bytes:
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], serve: Callable[[socket.socket], None]) -> None:
        super().__init__(address, BaseRequestHandler)
        self._serve = serve

    def finish_request(self, request: Any, client_address: Any) -> None:
        with contextlib.suppress(OSError):  # the client has gone
            self._serve(request)

    def shutdown_request(self, request: Any) -> None:
        request.close()  # without shutdown(): a reset has to stay one
