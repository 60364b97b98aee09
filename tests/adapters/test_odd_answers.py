"""Answers of back-ends that repeat or precede themselves, over real sockets: each call gets its own answer."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import requests

from adapters.http.client import BackEnd, NoAnswerError, Timeouts
from adapters.http.deadline_connections import _DeadlineConnection
from adapters.http.exchange import new_session
from adapters.http.lean_connection import LeanConnection
from tests.support.loopback import Loopback, Step, Visit, answer
from tests.support.waiting import PATIENCE

LONG = Timeouts(connect=PATIENCE, read=PATIENCE)
OK = b"HTTP/1.1 200 OK\r\n"


def raw(*parts: bytes) -> Step:
    """Send these bytes, and keep the connection."""

    def step(visit: Visit) -> bool:
        visit.connection.sendall(b"".join(parts))
        return True

    return step


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n",
        b"Content-Length: 2, 2\r\n\r\n",
        b"content-length: 2\r\nContent-Length:2 \r\n\r\n",
    ],
)
def test_an_answer_may_give_its_length_more_than_once(head: bytes) -> None:
    with Loopback(raw(OK, head, b"ok")) as server:
        back_end = BackEnd("composer", server.url, connections=1)
        assert [back_end.get("/a", LONG).body, back_end.get("/b", LONG).body] == [b"ok", b"ok"]
        back_end.close()
    assert server.connections == 1


def test_an_answer_whose_lengths_differ_is_refused() -> None:
    with Loopback(raw(OK, b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n", b"ok!")) as server:
        back_end = BackEnd("composer", server.url, connections=1)
        with pytest.raises(NoAnswerError):
            back_end.post_once("/a", {}, LONG)
        back_end.close()


def test_an_answer_may_say_twice_that_it_comes_in_chunks() -> None:
    twice = b"Transfer-Encoding: chunked\r\n" * 2
    with Loopback(raw(OK, twice, b"\r\n2\r\nok\r\n0\r\n\r\n")) as server:
        back_end = BackEnd("composer", server.url, connections=1)
        assert [back_end.get("/a", LONG).body, back_end.get("/b", LONG).body] == [b"ok", b"ok"]
        back_end.close()
    assert server.connections == 1


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints", b"199 Odd"])
def test_interim_answers_are_not_taken_for_the_answer(interim: bytes) -> None:
    before = b"HTTP/1.1 " + interim + b"\r\nLink: </style.css>\r\n\r\n"
    steps = [raw(before, before, OK, b"Content-Length: 1\r\n\r\n", each) for each in (b"1", b"2")]
    with Loopback(*steps) as server:
        back_end = BackEnd("composer", server.url, connections=1)
        assert [back_end.get("/a", LONG).body, back_end.get("/b", LONG).body] == [b"1", b"2"]
        back_end.close()


def test_a_connection_that_changes_its_protocol_is_not_used_again() -> None:
    with Loopback(raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), answer()) as server:
        back_end = BackEnd("composer", server.url, connections=1)
        assert [back_end.get("/a", LONG).status, back_end.get("/b", LONG).status] == [101, 200]
        back_end.close()
    assert server.connections == 2


def test_the_rest_of_an_answer_is_not_taken_for_the_next_answer() -> None:
    with Loopback(raw(OK, b"Content-Length: 2\r\n\r\n")) as server, new_session(1) as session:
        unread = session.get(f"{server.url}/a", stream=True, timeout=PATIENCE)
        unread.raw.release_conn()
        with pytest.raises(requests.ConnectionError):
            session.get(f"{server.url}/b", timeout=PATIENCE)


class _Plain:
    """A socket with the methods that a connection needs: TLS inside of TLS has no `shutdown`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.settimeout = connection.settimeout
        self.gettimeout = connection.gettimeout
        self.send = connection.send
        self.sendall = connection.sendall
        self.makefile = connection.makefile
        self.fileno = connection.fileno
        self.close = connection.close


def test_a_socket_needs_no_shutdown() -> None:
    with Loopback(answer(200, b"ok")) as server:
        host, port = server.url.removeprefix("http://").split(":")
        connection: Any = LeanConnection(host, int(port), timeout=PATIENCE)
        connection.sock = _Plain(socket.create_connection((host, int(port)), PATIENCE))
        connection.request("GET", "/a", None, {}, preload_content=False)
        assert connection.getresponse().read() == b"ok"
        connection.close()


class _Records:
    """A socket that sends what it is given in records, as TLS does, and fails after the first one."""

    def __init__(self) -> None:
        self.sent: list[int] = []

    def settimeout(self, seconds: float) -> None: ...

    def gettimeout(self) -> None: ...

    def send(self, data: bytes) -> int:
        self.sent.append(min(len(data), 16 * 1024))
        if len(data) > 16 * 1024:
            raise ConnectionResetError
        return len(data)

    def sendall(self, data: bytes) -> None:
        raise ConnectionResetError

    def close(self) -> None: ...


def test_a_request_of_which_a_record_was_sent_does_not_count_as_unsent() -> None:
    connection: Any = _DeadlineConnection("composer", 443)
    connection.sock = _Records()
    with pytest.raises(ConnectionResetError) as failed:
        connection.request("POST", "/compose", b"x" * 60_000, {})
    assert type(failed.value) is ConnectionResetError
    assert connection.sock.sent == [16 * 1024]
