"""A step that makes a server of loopback.py a proxy; `asked` then has the requests to the proxy."""

from __future__ import annotations

import select
import socket
from http.client import HTTPConnection
from urllib.parse import urlsplit

from tests.support.loopback import Visit, answer
from tests.support.waiting import PATIENCE

_LOOK = 0.02


def proxying(visit: Visit) -> bool:
    """A step: opens a tunnel for CONNECT, and otherwise returns the answer of the server in the complete URL."""
    return _tunnel(visit) if visit.asked.method == "CONNECT" else _forward(visit)


def _forward(visit: Visit) -> bool:
    asked = visit.asked
    url = urlsplit(asked.path)
    upstream = HTTPConnection(url.netloc, timeout=PATIENCE)
    try:
        upstream.request(asked.method, asked.path.partition(url.netloc)[2], asked.body, asked.headers)
        response = upstream.getresponse()
        given = answer(response.status, response.read(), response.headers["Content-Type"])
    finally:
        upstream.close()
    return given(visit)


def _tunnel(visit: Visit) -> bool:
    host, _, port = visit.asked.path.rpartition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as upstream:
        visit.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        ways = {upstream: visit.connection, visit.connection: upstream}
        while not visit.ending.is_set():
            for one in select.select(ways, [], [], _LOOK)[0]:
                if not (chunk := one.recv(65536)):
                    return False
                ways[one].sendall(chunk)
    return False
