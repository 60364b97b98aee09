"""Endless answers for servers of loopback.py: small pieces arrive all the time, so no wait for a piece is long."""

from __future__ import annotations

from itertools import cycle

from tests.support.loopback import Step, Visit

# Seconds between two pieces: a second in the issue, less here.
PAUSE = 0.03


def dripping(head: bytes, *pieces: bytes) -> Step:
    """Send `head` at once, and then one of the `pieces` after another for ever."""

    def step(visit: Visit) -> bool:
        visit.connection.sendall(head)
        for piece in cycle(pieces):
            if visit.ending.wait(PAUSE):
                return False
            visit.connection.sendall(piece)
        return False

    return step


_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

DRIPS = {
    "a status line": dripping(b"HTTP/1.1 200 ", b"O"),
    "one header": dripping(_OK + b"X-Drip: ", b"a"),
    "header after header": dripping(_OK, b"a", b":", b"1", b"\r", b"\n"),
    "a body": dripping(_OK + b'Content-Length: 1000\r\n\r\n{"a": "', b"b"),
    "a chunked body": dripping(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n", b"a\r\n"),
    "a body to the connection's end": dripping(_OK + b'Connection: close\r\n\r\n"', b"b"),
}
