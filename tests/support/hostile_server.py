"""A server on loopback with a replaceable treatment of connections, and the treatments."""

from __future__ import annotations

import gzip
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Final, Self

# Seconds between two looks at whether the server ends.
_LOOK: Final = 0.02
_HANDSHAKE: Final = 5.0
_BACKLOG: Final = 128
# Seconds between two bytes: no wait for a byte is ever long.
_PAUSE: Final = 0.02
_BLOCK: Final = b"x" * 65536
HUGE: Final = 100_000_000

# What is done to a connection, until it returns or the event is set; then the connection is closed.
Treatment = Callable[[socket.socket, threading.Event], None]


class HostileServer:
    """A hostile server as a context manager. With `tls` connections are encrypted; both can be changed at any time."""

    def __init__(self, treatment: Treatment, tls: ssl.SSLContext | None = None) -> None:
        self.treatment = treatment
        self.tls = tls
        # The treatments of the connections that were accepted, of those that got through the handshake where there is
        # one, and of those that have ended.
        self.accepted: list[Treatment] = []
        self.established: list[Treatment] = []
        self.ended: list[Treatment] = []
        self._listener = _listener(0)
        self.port: int = self._listener.getsockname()[1]
        self._accepts = True
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept)]

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse connections during the context."""
        with self._lock:
            self._listener.close()
        try:
            yield
        finally:
            with self._lock:
                self._listener = _listener(self.port)

    @contextmanager
    def ignoring(self) -> Iterator[None]:
        """Do not accept new connections during the context: the listener's queue is full."""
        with self._lock:
            self._accepts = False
            self._listener.listen(0)
        with ExitStack() as waiting:
            for _ in range(3):
                filler = waiting.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", self.port))
            try:
                yield
            finally:
                with self._lock:
                    self._listener.listen(_BACKLOG)
                    self._accepts = True

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ending.wait(_LOOK):
            with suppress(OSError), self._lock:
                while self._accepts:
                    connection, _ = self._listener.accept()
                    self.accepted.append(self.treatment)
                    thread = threading.Thread(target=self._treat, args=(connection, self.treatment, self.tls))
                    self._threads.append(thread)
                    thread.start()

    def _treat(self, connection: socket.socket, treatment: Treatment, tls: ssl.SSLContext | None) -> None:
        with suppress(OSError), connection:
            connection.settimeout(_HANDSHAKE)
            if tls is None:
                self.established.append(treatment)
                treatment(connection, self._ending)
            else:
                self._treat_encrypted(connection, treatment, tls)
        self.ended.append(treatment)

    def _treat_encrypted(self, connection: socket.socket, treatment: Treatment, tls: ssl.SSLContext) -> None:
        with tls.wrap_socket(connection, server_side=True) as encrypted:
            # With TLS 1.3 the client's verdict on the certificate comes after the handshake.
            if encrypted.recv(1):
                self.established.append(treatment)
                treatment(encrypted, self._ending)


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(_BACKLOG)
    listener.settimeout(0)
    return listener


# Whatever is spoken


def hang(connection: socket.socket, ending: threading.Event) -> None:
    """Read nothing, and send nothing."""
    ending.wait()


def close(connection: socket.socket, ending: threading.Event) -> None:
    """Close the connection."""


def reset(connection: socket.socket, ending: threading.Event) -> None:
    """Reset the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def send(*pieces: bytes) -> Treatment:
    """Send the pieces after a request."""

    def treat(connection: socket.socket, ending: threading.Event) -> None:
        connection.recv(65536)
        for piece in pieces:
            connection.sendall(piece)

    return treat


def in_turn(*treatments: Treatment) -> Treatment:
    """Treat each connection with the next treatment, and all further ones with the last."""
    remaining = list(treatments)

    def treat(connection: socket.socket, ending: threading.Event) -> None:
        (remaining.pop(0) if len(remaining) > 1 else remaining[0])(connection, ending)

    return treat


def drip(head: bytes, byte: bytes) -> Treatment:
    """Send the head, and then a byte from time to time for ever."""

    def treat(connection: socket.socket, ending: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(head)
        while not ending.wait(_PAUSE):
            connection.sendall(byte)

    return treat


def flood(head: bytes, block: bytes = _BLOCK, size: int = HUGE) -> Treatment:
    """Send the head, and then bytes as fast as the client reads them."""

    def treat(connection: socket.socket, ending: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(head)
        sent = 0
        while sent < size and not ending.is_set():
            connection.sendall(block)
            sent += len(block)

    return treat


# HTTP


def http(status: int = 200, body: bytes = b"{}", content_type: str = "application/json", **headers: str) -> Treatment:
    """Send one answer."""
    return send(_head(status, len(body), content_type, headers) + body)


def _head(status: int, length: int, content_type: str, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"HTTP/1.1 {status} Whatever",
        f"Content-Length: {length}",
        f"Content-Type: {content_type}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_DEEP = b'{"features": ' + b"[" * 1_000_000

HTTP_TREATMENTS: Final = {
    "hang": hang,
    "close": close,
    "reset": reset,
    "no HTTP": send(b"\x16\x03\x01 no HTTP\r\n\r\n"),
    "no JSON": http(body=b"<html>", content_type="text/html"),
    "deep JSON": http(body=_DEEP),
    "401": http(401),
    "429": http(429, Retry_After="soon"),
    "500": http(500, body=b"\xff" * 1000),
    "dripping header": drip(_OK + b"X-Drip: ", b"a"),
    "dripping body": drip(_OK + b"Content-Length: 100000\r\n\r\n", b"a"),
    "huge body": flood(_head(200, HUGE, "application/json", {})),
    "huge body of an error": flood(_head(500, HUGE, "text/html", {})),
    "endless body": flood(_OK + b"\r\n", size=3 * HUGE),
    "endless chunks": flood(_CHUNKED, b"10000\r\n" + _BLOCK + b"\r\n", size=3 * HUGE),
    "endless line of a chunk": flood(_CHUNKED, size=3 * HUGE),
    "endless headers": flood(_OK, b"X-Header: " + b"a" * 60_000 + b"\r\n", size=3 * HUGE),
    "compressed": http(body=gzip.compress(bytes(HUGE), 1), Content_Encoding="gzip"),
}
SLOW_HTTP_TREATMENTS: Final = ("hang", "dripping header", "dripping body")


# Redis' protocol

REDIS_TREATMENTS: Final = {
    "hang": hang,
    "close": close,
    "reset": reset,
    "no Redis": send(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "dripping text": drip(b"+", b"a"),
    "an error": send(b"-ERR " + b"a" * 1000 + b"\r\n"),
    "text": send(b"+OK\r\n"),
    "nothing": send(b"*-1\r\n"),
    "an empty list": send(b"*0\r\n"),
    "a list of texts": send(b"*4\r\n$1\r\n1\r\n$1\r\n5\r\n$1\r\n9\r\n$2\r\n-1\r\n"),
    "numbers out of range": send(b"*4\r\n:1\r\n:-99999999999999999999\r\n:99999999999999999999\r\n:-1\r\n"),
    "a number of many digits": send(b"*4\r\n:1\r\n:1\r\n:-1\r\n:" + b"9" * 4000 + b"\r\n"),
    "deep lists": flood(b"", b"*1\r\n" * 16_384),
    "a list without end": flood(b"*1000000000\r\n", b":1\r\n" * 16_384),
    "texts without end": flood(b"*1000000000\r\n", (b"+" + b"a" * 32_000 + b"\r\n") * 2, size=3 * HUGE),
    "a huge text": flood(b"$10000000000\r\n", size=3 * HUGE),
    "an endless line": flood(b"+", size=3 * HUGE),
}
SLOW_REDIS_TREATMENTS: Final = ("hang", "dripping text")


def redis_answering(answer: bytes) -> Treatment:
    """Answer each command with this reply."""

    def treat(connection: socket.socket, ending: threading.Event) -> None:
        while connection.recv(65536):
            connection.sendall(answer)

    return treat
