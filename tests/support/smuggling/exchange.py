"""Sends entries of the corpus and reads all answers until the connection closes."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from http.client import HTTPMessage
from typing import Final

from tests.support.raw_http import Answer
from tests.support.smuggling.messages import GET_LINE, HOST, IDENTITY, AwaitAnswer, Entry, Outcome, Pause, head
from tests.support.waiting import SOON

_AT_ONCE: Final = 16
_REQUEST_ID: Final = "x-rh-insights-request-id"
_PROBE: Final = "probe-of-the-connection"
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n")
_PARSER: Final = BytesHeaderParser(_class=HTTPMessage)


@dataclass(slots=True)
class Exchange:
    """The answers to an entry.

    `answers` are the final answers except that of the probe. `probe` is the answer to a further GET /version on the
    same connection, which is sent unless the first answer says that the connection closes. `closed` says that the
    connection was closed in time. `rest` are received bytes that are not a complete answer.
    """

    sent: bytes = b""
    received: bytes = b""
    answers: list[Answer] = field(default_factory=list)
    probe: Answer | None = None
    closed: bool = False
    rest: bytes = b""

    @property
    def statuses(self) -> list[int]:
        """The statuses of the answers."""
        return [answer.status_code for answer in self.answers]


def exchange_all(address: tuple[str, int], entries: Iterable[Entry]) -> dict[str, Exchange]:
    """The exchanges by the names of the entries; several run concurrently."""
    with ThreadPoolExecutor(_AT_ONCE) as clients:
        running = {entry.name: clients.submit(exchange, address, entry) for entry in entries}
        return {name: each.result() for name, each in running.items()}


def exchange(address: tuple[str, int], entry: Entry) -> Exchange:
    """Send one entry over a new connection, and read until the connection closes or is silent for too long."""
    done = Exchange()
    with socket.create_connection(address, SOON) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _send(connection, entry, done)
        if entry.outcome is Outcome.INCOMPLETE:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
        _receive(connection, done, lambda: bool(_finals(done.received)))
        if (answers := _finals(done.received)) and not _says_close(answers[-1]):
            _transmit(connection, done, _probe())
        _receive(connection, done, lambda: False)
    found, done.rest = parse(done.received)
    finals = [answer for answer in found if answer.status_code >= 200]
    done.answers = [answer for answer in finals if answer.headers.get(_REQUEST_ID) != _PROBE]
    done.probe = next((answer for answer in finals if answer.headers.get(_REQUEST_ID) == _PROBE), None)
    return done


def parse(received: bytes) -> tuple[list[Answer], bytes]:
    """The complete answers at the beginning, including interim ones (1xx), and the remaining bytes.

    An answer that ends with the connection takes all remaining bytes.
    """
    answers = []
    while found := _STATUS.match(received):
        lines, end, rest = received[found.end() :].partition(b"\r\n\r\n")
        if received[found.end() :].startswith(b"\r\n"):
            lines, end, rest = b"", b"\r\n", received[found.end() + 2 :]
        if not end:
            break
        headers = _PARSER.parsebytes(lines + b"\r\n\r\n")
        status = int(found[1])
        content = _content(status, headers, rest)
        if content is None:
            break
        answers.append(Answer(status, headers, content[0]))
        received = content[1]
    return answers, received


def _content(status: int, headers: HTTPMessage, rest: bytes) -> tuple[bytes, bytes] | None:
    """The body and the bytes after it; None if the body is incomplete."""
    if status < 200 or status in {204, 304}:
        return b"", rest
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return _dechunked(rest)
    if (length := headers.get("content-length")) is None:
        return rest, b""
    return (rest[: int(length)], rest[int(length) :]) if len(rest) >= int(length) else None


def _dechunked(rest: bytes) -> tuple[bytes, bytes] | None:
    content = b""
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not end:
            return None
        size = int(line.partition(b";")[0], 16)
        if len(rest) < size + 2:
            return None
        content += rest[:size]
        rest = rest[size + 2 :]
        if size == 0:
            return content, rest


def _finals(received: bytes) -> list[Answer]:
    return [answer for answer in parse(received)[0] if answer.status_code >= 200]


def _says_close(answer: Answer) -> bool:
    return "close" in answer.headers.get("connection", "").lower()


def _probe() -> bytes:
    return head(GET_LINE, HOST, IDENTITY, b"%b: %b" % (_REQUEST_ID.encode(), _PROBE.encode()), b"Connection: close")


def _send(connection: socket.socket, entry: Entry, done: Exchange) -> None:
    for part in entry.parts:
        if isinstance(part, Pause):
            time.sleep(part.seconds)
        elif isinstance(part, AwaitAnswer):
            _receive(connection, done, lambda: bool(parse(done.received)[0]))
        elif not _transmit(connection, done, part):
            return


def _transmit(connection: socket.socket, done: Exchange, data: bytes) -> bool:
    """Send bytes; False if the server has closed the connection, or no longer reads."""
    try:
        connection.sendall(data)
    except OSError:
        return False
    done.sent += data
    return True


def _receive(connection: socket.socket, done: Exchange, enough: Callable[[], bool]) -> None:
    """Read until the condition holds, the connection closes, or it is silent for too long."""
    deadline = time.monotonic() + SOON
    while not done.closed and not enough():
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            received = connection.recv(65536)
        except TimeoutError:
            return
        except OSError:
            received = b""
        done.closed = not received
        done.received += received
