"""Endless answers as fast as the client reads them, for servers of loopback.py."""

from __future__ import annotations

from tests.support.loopback import Visit

# Bytes after which a caller has shown that it takes whatever comes.
FAR_TOO_MUCH = 512 * 1024 * 1024
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"


class Flood:
    """A step that sends `head`, and then `piece` repeatedly; `sent` is how many bytes its last client read."""

    def __init__(self, head: bytes, piece: bytes) -> None:
        self._head = head
        self._block = piece * max(64 * 1024 // len(piece), 1)
        self.sent = 0

    def __call__(self, visit: Visit) -> bool:
        self.sent = 0
        visit.connection.sendall(self._head)
        rest = memoryview(self._block)
        while self.sent < FAR_TOO_MUCH and not visit.ending.is_set():
            try:
                sent = visit.connection.send(rest)
            except TimeoutError:  # of loopback.py: a look at whether the server ends
                continue
            self.sent += sent
            rest = rest[sent:] or memoryview(self._block)
        return False


def unending() -> dict[str, Flood]:
    """Answers larger than the memory, of several kinds."""
    return {
        "a redirect's body": Flood(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n", b"x"),
        "a chunk's size": Flood(_CHUNKED, b"0"),
        "a chunk's extension": Flood(_CHUNKED + b"1;", b"x"),
        "a chunk of size -1": Flood(_CHUNKED + b"-1\r\n", b"x"),
        "a trailer": Flood(_CHUNKED + b"0\r\nX-Trailer: ", b"x"),
        "a header": Flood(_OK + b"X-Header: ", b"x"),
        "headers": Flood(_OK, b"X-Header: x\r\n"),
        "a status line": Flood(b"HTTP/1.1 200 ", b"x"),
        "chunks": Flood(_CHUNKED, b"32\r\n" + b"a" * 50 + b"\r\n"),
        "a body": Flood(_OK + b"Connection: close\r\n\r\n", b"x"),
    }
