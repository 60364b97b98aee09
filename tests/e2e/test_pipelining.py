"""Several requests on one connection, sent before the first is answered (RFC 9112, section 9.3.2)."""

from __future__ import annotations

import json
import signal
import socket
import threading
from typing import Any

import structlog
from starlette.types import Receive, Scope, Send

from adapters.embedded.composer.process import StandInComposer
from image_builder.cli.server import Server, configuration
from image_builder.settings import Settings
from image_builder.variables import look
from tests.support import raw_http
from tests.support.builders import compose_request, identity
from tests.support.databases import Parameters
from tests.support.service import BASE, Service
from tests.support.waiting import until

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


def ending(service: Service) -> None:
    """Send it SIGTERM, and wait until it says so."""
    assert service.process is not None
    service.process.send_signal(signal.SIGTERM)
    until(lambda: service.client().get("/ready", base="").status_code == 503, "it says that it ends")


def hurried(service: Service) -> None:
    """End the grace."""
    assert service.process is not None
    service.process.send_signal(signal.SIGINT)
    assert service.process.wait(60) == 0


def test_requests_that_come_together_during_the_grace_are_all_answered(
    module_database: Parameters, composer: StandInComposer
) -> None:
    told = {"SHUTDOWN_GRACE": "600"}
    with Service(module_database, composer.url, environment=told) as service:
        ending(service)
        with raw_http.connection(service.url) as opened:
            opened.sendall(BUILD + LIST + LIST)
            answers = read_all(opened)
        hurried(service)
    assert answers == [(201, None), (200, None), (200, "close")]


def test_requests_that_come_during_the_grace_behind_one_from_before_are_answered(
    module_database: Parameters, composer: StandInComposer
) -> None:
    told = {"SHUTDOWN_GRACE": "600"}
    composer.steer(latency=2.0)
    with Service(module_database, composer.url, environment=told) as service:
        with raw_http.connection(service.url) as opened:
            opened.sendall(BUILD)
            until(lambda: composer.counters().get("POST /compose") == 1, "the composer is asked")
            ending(service)
            opened.sendall(LIST)
            answers = read_all(opened)
        hurried(service)
    assert answers == [(201, None), (200, "close")]


def test_a_request_takes_over_nothing_that_is_known_of_the_one_before() -> None:
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
        settings = Settings(**look(Settings, {"COMPOSER_URL": "http://composer"})[0])
        server = Server(configuration(settings, application, factory=False), 0)
        serving = threading.Thread(target=server.run, args=([listener],))
        serving.start()
        try:
            with socket.create_connection(listener.getsockname(), 60) as opened:
                opened.sendall(LIST + LIST.replace(b"Host:", b"Connection: close\r\nHost:"))
                assert read_all(opened) == [(204, None), (204, "close")]
        finally:
            server.should_exit = True
            serving.join()
    assert known == [{}, {}]
