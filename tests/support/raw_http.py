"""Requests with exact bytes that client libraries would not send, and their answers."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from urllib.parse import urlsplit

from tests.support.waiting import PATIENCE

Headers = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with the attribute names of `requests`; `text` never fails because of its encoding."""

    status_code: int
    headers: HTTPMessage
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")


def head(method: str, target: str | bytes, headers: Headers = ()) -> bytes:
    """A request line and headers exactly as given, with Host and the blank line added."""
    lines = [b" ".join([method.encode(), _bytes(target), b"HTTP/1.1"]), b"Host: localhost"]
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    lines += [_bytes(name) + b": " + _bytes(value) for name, value in pairs]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunked(parts: Iterable[bytes]) -> Iterator[bytes]:
    """A body in chunks, without a length."""
    for part in parts:
        yield b"%x\r\n%b\r\n" % (len(part), part)
    yield b"0\r\n\r\n"


@contextmanager
def connection(url: str) -> Iterator[socket.socket]:
    """A connection to the server of `url`."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname or "", place.port or 80), PATIENCE) as opened:
        yield opened


def read(opened: socket.socket, method: str = "GET") -> Answer | None:
    """The next answer on a connection; None if the server closed it without an answer."""
    response = HTTPResponse(opened, method=method)
    try:
        response.begin()
        return Answer(response.status, response.headers, response.read())
    except (HTTPException, ConnectionError):
        return None
    finally:
        response.close()


def send(url: str, *parts: bytes, method: str = "GET") -> Answer | None:
    """Send the bytes over a new connection, and read one answer; a server may answer before the end of the bytes."""
    with connection(url) as opened:
        with suppress(ConnectionError):
            for part in parts:
                opened.sendall(part)
        return read(opened, method)


def call(url: str, method: str, target: str | bytes, headers: Headers = (), body: bytes | None = None) -> Answer:
    """Send one request, which must be answered. Raises AssertionError without an answer."""
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    if body is not None:
        pairs.append(("Content-Length", str(len(body))))
    answer = send(url, head(method, target, pairs), body or b"", method=method)
    assert answer is not None, f"no answer to {method} {target!r}"
    return answer


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
