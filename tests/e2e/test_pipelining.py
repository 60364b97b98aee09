"""Bytes that a client sends after a request: pipelining (RFC 9112, section 9.3.2) is not supported."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import pytest
import structlog
from starlette.types import Receive, Scope, Send

from adapters.embedded.composer.process import StandInComposer
from image_builder.cli.server import Server, create_uvicorn_config
from image_builder.configuration.settings import Settings
from image_builder.configuration.variables import build_settings, read_variables
from tests.support import raw_http
from tests.support.builders import compose_request, identity
from tests.support.databases import Parameters
from tests.support.service import BASE, Service
from tests.support.waiting import PATIENCE, STRETCH

HEADERS = {"x-rh-identity": identity("pipelining")}
BODY = json.dumps(compose_request()).encode()
BUILD = (
    raw_http.head(
        "POST",
        f"{BASE}/compose",
        {**HEADERS, "Content-Type": "application/json", "Content-Length": str(len(BODY))},
    )
    + BODY
)
LIST = raw_http.head("GET", f"{BASE}/composes", HEADERS)


def read_all(opened: socket.socket) -> list[tuple[int, str | None]]:
    """Status and `Connection` of all answers until the server closes."""
    received = b""
    while part := opened.recv(65536):
        received += part
    answers = []
    for head in [part.partition(b"\r\n\r\n")[0] for part in received.split(b"HTTP/1.1 ")[1:]]:
        status, *lines = head.decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        answers.append((int(status.split()[0]), headers.get("connection")))
    return answers


def is_closed_though_it_drips(opened: socket.socket) -> bool:
    """Whether the server closes the connection within some seconds although a byte arrives every tenth of a second."""
    for _ in range(200):
        try:
            opened.sendall(b"x")
        except ConnectionError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("pause", [0.0, 0.3], ids=["at once", "while the first is served"])
def test_the_first_of_pipelined_requests_is_answered_and_no_other_is_executed(
    module_database: Parameters, composer: StandInComposer, pause: float
) -> None:
    composer.steer(latency=STRETCH)
    with Service(module_database, composer.url) as service, raw_http.connection(service.url) as opened:
        opened.sendall(BUILD)
        time.sleep(pause)
        opened.sendall(BUILD + LIST)
        assert read_all(opened) == [(201, "close")]
        assert composer.counters()["POST /compose"] == 1


def test_bytes_after_an_unanswered_request_are_not_read_without_limit(
    module_database: Parameters, composer: StandInComposer
) -> None:
    composer.steer(latency=1.0)
    with Service(module_database, composer.url) as service, raw_http.connection(service.url) as opened:
        opened.settimeout(0.2)
        opened.sendall(BUILD)
        sent = 0
        with suppress(TimeoutError):
            while sent < 64 * 1024 * 1024:
                sent += opened.send(b"0" * 65536)
        assert sent < 64 * 1024 * 1024
        opened.settimeout(PATIENCE)
        answer = raw_http.read(opened)
    assert answer is not None
    assert (answer.status_code, answer.headers["connection"]) == (201, "close")


def test_a_client_that_closes_its_sending_side_gets_its_answer(
    module_database: Parameters, composer: StandInComposer
) -> None:
    composer.steer(latency=0.5)
    with Service(module_database, composer.url) as service, raw_http.connection(service.url) as opened:
        opened.sendall(BUILD)
        opened.shutdown(socket.SHUT_WR)
        time.sleep(0.2)
        assert [status for status, _ in read_all(opened)] == [201]


@pytest.mark.parametrize(
    "head",
    [
        raw_http.head("POST", f"{BASE}/compose", {"Content-Length": "4000000"}),
        raw_http.head("POST", f"{BASE}/compose", {**HEADERS, "Content-Length": "5000000"}),
        raw_http.head("POST", f"{BASE}/compose", {**HEADERS, "Content-Length": "100", "Content-Type": "text/plain"}),
    ],
    ids=["401", "413", "415"],
)
def test_a_refused_request_with_a_slow_body_does_not_keep_its_connection_open(
    module_database: Parameters, composer: StandInComposer, head: bytes
) -> None:
    with Service(module_database, composer.url) as service, raw_http.connection(service.url) as opened:
        opened.sendall(head)
        answer = raw_http.read(opened)
        assert answer is not None
        assert answer.headers["connection"] == "close"
        assert is_closed_though_it_drips(opened)


def test_a_request_inherits_no_context_of_the_previous_one() -> None:
    known: list[dict[str, Any]] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for said in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{said}.complete"})
            return
        known.append(structlog.contextvars.get_contextvars())
        structlog.contextvars.bind_contextvars(org_id="the one before")
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = build_settings(Settings, read_variables(Settings, {"COMPOSER_URL": "http://composer"})[0])
        server = Server(create_uvicorn_config(settings, application, factory=False), 0)
        serving = threading.Thread(target=server.run, args=([listener],))
        serving.start()
        try:
            with socket.create_connection(listener.getsockname(), 60) as opened:
                opened.sendall(LIST)
                assert opened.recv(65536).startswith(b"HTTP/1.1 204 ")
                opened.sendall(LIST.replace(b"Host:", b"Connection: close\r\nHost:"))
                assert read_all(opened) == [(204, "close")]
        finally:
            server.should_exit = True
            serving.join()
    assert known == [{}, {}]
