"""Clients that disconnect early, send slowly, or do not speak HTTP, against the running service."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support import raw_http
from tests.support.builders import compose_request, identity
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.service import BASE, Service
from tests.support.waiting import PATIENCE, SOON

pytestmark = pytest.mark.usefixtures("composer")

BODY = json.dumps(compose_request()).encode()
HEADERS = {"x-rh-identity": identity("connections"), "Content-Type": "application/json"}
WITH_LENGTH = raw_http.head("POST", f"{BASE}/compose", {**HEADERS, "Content-Length": str(len(BODY))})
IN_CHUNKS = raw_http.head("POST", f"{BASE}/compose", {**HEADERS, "Transfer-Encoding": "chunked"})


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("connections") / "service.log"


@pytest.fixture(scope="module")
def running(module_database: Parameters, composer_process: StandInComposer, log: Path) -> Iterator[Service]:
    with Service(module_database, composer_process.url, log=log) as service:
        yield service


def assert_healthy(service: Service, log: Path) -> None:
    """The service answers at once, and has logged no error."""
    client = service.client("healthy")
    began = time.monotonic()
    assert client.get("/composes").status_code == 200
    assert client.get("/version").status_code == 200
    assert time.monotonic() - began < SOON
    text = log.read_text()
    assert "Traceback" not in text
    assert "unforeseen" not in text
    assert '"status":5' not in text


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET", WITH_LENGTH[:40], WITH_LENGTH, WITH_LENGTH + BODY[:10], IN_CHUNKS, IN_CHUNKS + b"10\r\nabc"],
    ids=["nothing", "a word", "half a head", "a head", "half a body", "no chunk", "half a chunk"],
)
@pytest.mark.parametrize("abruptly", [False, True], ids=["closing", "resetting"])
def test_clients_that_disconnect_early_leave_the_service_healthy(
    running: Service, log: Path, sent: bytes, *, abruptly: bool
) -> None:
    for _ in range(10):
        with raw_http.connection(running.url) as opened:
            opened.sendall(sent)
            if abruptly:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    time.sleep(0.1)
    assert_healthy(running, log)


def test_a_build_is_not_started_by_half_a_body(running: Service, composer: StandInComposer) -> None:
    with raw_http.connection(running.url) as opened:
        opened.sendall(WITH_LENGTH + BODY[:-1])
    time.sleep(0.3)
    assert composer.counters().get("POST /compose", 0) == 0


def test_a_build_is_listed_if_its_client_disconnects_before_the_answer(
    running: Service, composer: StandInComposer, log: Path
) -> None:
    client = running.client("left early")
    head = raw_http.head(
        "POST",
        f"{BASE}/compose",
        {**HEADERS, "x-rh-identity": identity("left early"), "Content-Length": str(len(BODY))},
    )
    with raw_http.connection(running.url) as opened:
        opened.sendall(head + BODY)
    deadline = time.monotonic() + PATIENCE
    while not composer.counters().get("POST /compose", 0):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    while client.get("/composes").json()["meta"]["count"] != 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert_healthy(running, log)


def test_a_slow_client_is_served_and_delays_no_other_client(running: Service, log: Path) -> None:
    answers: list[raw_http.Answer | None] = []

    def trickle() -> None:
        message = WITH_LENGTH + BODY
        step = len(message) // 20 + 1
        with raw_http.connection(running.url) as opened:
            for at in range(0, len(message), step):
                opened.sendall(message[at : at + step])
                time.sleep(0.05)
            answers.append(raw_http.read(opened))

    clients = [threading.Thread(target=trickle) for _ in range(30)]
    for client in clients:
        client.start()
    while any(client.is_alive() for client in clients):
        assert_healthy(running, log)
        time.sleep(0.05)
    assert [answer and answer.status_code for answer in answers] == [201] * 30


def test_a_client_that_reads_slowly_delays_no_other_client(running: Service, log: Path) -> None:
    request = raw_http.head("GET", f"{BASE}/openapi.json") * 50
    with raw_http.connection(running.url) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.sendall(request)
        time.sleep(0.2)
        assert_healthy(running, log)
        first = raw_http.read(opened)
    assert first is not None
    assert first.status_code == 200


def test_one_connection_can_carry_valid_and_invalid_requests(running: Service) -> None:
    with raw_http.connection(running.url) as opened:
        for path, status in (("/version", 200), ("/nope", 404), ("/composes/x", 400), ("/version", 200)):
            opened.sendall(raw_http.head("GET", BASE + path, HEADERS))
            answer = raw_http.read(opened)
            assert answer is not None
            assert answer.status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {**HEADERS, "Content-Type": "text/plain"},
        {**HEADERS, "x-junk": "a" * 70_000},
    ],
    ids=["401", "415", "431"],
)
def test_a_refused_body_is_not_parsed_as_the_next_request(running: Service, headers: dict[str, str]) -> None:
    smuggled = raw_http.head("GET", f"{BASE}/version", HEADERS)
    head = raw_http.head("POST", f"{BASE}/compose", {**headers, "Content-Length": str(len(smuggled))})
    last = raw_http.head("GET", f"{BASE}/nope", {"Connection": "close"})
    received = b""
    with raw_http.connection(running.url) as opened:
        opened.sendall(head + smuggled + last)
        while part := opened.recv(65536):
            received += part
    first, *others = [int(status) for status in re.findall(rb"HTTP/1.1 (\d{3})", received)]
    assert first in {401, 415, 431}
    assert others in ([404], [])


def test_the_service_sends_100_continue_only_if_it_reads_the_body(running: Service) -> None:
    head = raw_http.head(
        "POST", f"{BASE}/compose", {**HEADERS, "Content-Length": str(len(BODY)), "Expect": "100-continue"}
    )
    with raw_http.connection(running.url) as opened:
        opened.sendall(head)
        assert opened.recv(1000).startswith(b"HTTP/1.1 100")
        opened.sendall(BODY)
        answer = raw_http.read(opened)
    assert answer is not None
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /status HTTP/9.9\r\n\r\n",
        b"FOO /status HTTP/1.1\r\nHost: x\r\n\r\n",
        b"get /status HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /status HTTP/1.1\r\nno colon\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100,
        b"A" * 100_000,
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        WITH_LENGTH.replace(b"Content-Length: ", b"Content-Length: x"),
        WITH_LENGTH.replace(b"Content-Length: ", b"Content-Length: -"),
        WITH_LENGTH.replace(b"Content-Length: ", b"Content-Length: 5\r\nContent-Length: "),
        WITH_LENGTH.replace(b"Content-Length: ", b"Content-Length: " + b"9" * 30),
        WITH_LENGTH.replace(b"Content-Length", b"Transfer-Encoding: chunked\r\nContent-Length") + b"0\r\n\r\n",
        IN_CHUNKS + b"no number\r\nabc\r\n0\r\n\r\n",
        IN_CHUNKS + b"f" * 20 + b"\r\nabc\r\n",
    ],
    ids=lambda sent: ascii(sent[:20] + b"..." + sent[-20:]),
)
def test_bytes_that_are_not_http_are_refused_in_the_format_of_the_contract(
    running: Service, log: Path, sent: bytes
) -> None:
    refusal(raw_http.send(running.url, sent), {400, 413, 414, 431})
    assert_healthy(running, log)
