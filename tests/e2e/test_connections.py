"""Connections of clients that are idle, send slowly, or do not read are limited in number, memory and time."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from uuid import uuid4

import pytest
from starlette.types import Receive, Scope, Send

from adapters.embedded.composer.process import StandInComposer
from image_builder.cli.server import Server, create_uvicorn_config
from image_builder.configuration.settings import Settings
from image_builder.configuration.variables import build_settings, read_variables
from image_builder.http import protocol
from tests.support import cgroups, raw_http
from tests.support.blueprints import blueprint
from tests.support.builders import compose_request, identity
from tests.support.databases import Parameters
from tests.support.service import BASE, Service
from tests.support.waiting import PATIENCE

LARGE = 8 * 1024 * 1024


async def large_answer(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers every request with 8 MiB, in parts."""
    if scope["type"] == "lifespan":
        for said in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{said}.complete"})
        return
    headers = [(b"content-length", str(LARGE).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for sent in range(0, LARGE, 65536):
        await send({"type": "http.response.body", "body": bytes(65536), "more_body": sent + 65536 < LARGE})


@contextmanager
def serving(application: Any, keep_alive: int = 75) -> Iterator[tuple[str, int]]:
    """The address of the application in the service's own server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = build_settings(Settings, read_variables(Settings, {"COMPOSER_URL": "http://composer"})[0])
        config = create_uvicorn_config(settings, application, factory=False)
        config.timeout_keep_alive = keep_alive
        server = Server(config, 0)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


def closed_within(opened: socket.socket, seconds: float) -> bool:
    """Whether the other side closes the connection without sending a byte."""
    time.sleep(seconds)
    opened.settimeout(PATIENCE)
    received = 0
    try:
        while part := opened.recv(1024 * 1024):
            received += len(part)
    except ConnectionError:
        return True
    return received < LARGE


@pytest.mark.parametrize("limit", ["_MAX_WRITE_PAUSE", "_MAX_WRITE_SECONDS"])
def test_the_connection_of_a_client_that_does_not_read_its_answer_is_closed(
    monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(protocol, limit, 0.5)
    with serving(large_answer) as address, socket.create_connection(address, PATIENCE) as opened:
        opened.sendall(raw_http.head("GET", "/"))
        assert closed_within(opened, 2.0)


def test_a_client_that_reads_slowly_gets_its_complete_answer() -> None:
    with serving(large_answer) as address, socket.create_connection(address, PATIENCE) as opened:
        opened.sendall(raw_http.head("GET", "/", {"Connection": "close"}))
        received = 0
        while part := opened.recv(256 * 1024):
            received += len(part)
            time.sleep(0.01)
        assert received > LARGE


async def small_answer(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers every request with two bytes."""
    if scope["type"] == "lifespan":
        await large_answer(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def test_a_connection_is_closed_when_it_has_been_idle_for_the_keep_alive_time_and_not_before() -> None:
    with serving(small_answer, keep_alive=2) as address, socket.create_connection(address, PATIENCE) as opened:
        ends = time.monotonic() + 3
        while time.monotonic() < ends:
            opened.sendall(raw_http.head("GET", "/"))
            assert raw_http.read(opened) is not None
        assert opened.recv(1) == b""


def test_idle_connections_are_closed_for_new_ones(module_database: Parameters, composer: StandInComposer) -> None:
    with (
        Service(module_database, composer.url, environment={"MAX_CONNECTIONS": "20"}) as service,
        ExitStack() as stack,
    ):
        idle = [stack.enter_context(raw_http.connection(service.url)) for _ in range(60)]
        assert service.client("late").get("/composes").status_code == 200
        with suppress(ConnectionError):
            assert idle[0].recv(1) == b""
        idle[-1].sendall(raw_http.head("GET", "/status"))
        answer = raw_http.read(idle[-1])
        assert answer is not None
        assert answer.status_code == 200


def test_connections_without_an_identity_do_not_displace_those_with_one(
    module_database: Parameters, composer: StandInComposer
) -> None:
    request = raw_http.head("GET", f"{BASE}/composes", {"x-rh-identity": identity("connected")})
    with (
        Service(module_database, composer.url, environment={"MAX_CONNECTIONS": "20"}) as service,
        ExitStack() as stack,
    ):
        known = stack.enter_context(raw_http.connection(service.url))
        for number in range(2):
            known.sendall(request)
            answer = raw_http.read(known)
            assert answer is not None
            assert answer.status_code == 200
            if number == 0:
                for _ in range(60):
                    stack.enter_context(raw_http.connection(service.url))


def test_endless_request_heads_are_refused_when_they_use_too_much_memory(
    module_database: Parameters, composer: StandInComposer
) -> None:
    begun = raw_http.head("GET", "/status", {"x-filler": "a" * 60_000})[:-2]
    with Service(module_database, composer.url) as service, ExitStack() as stack:
        opened = []
        for _ in range(200):
            opened.append(stack.enter_context(raw_http.connection(service.url)))
            opened[-1].sendall(begun)
        answer = raw_http.read(opened[-1])
        assert answer is not None
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert service.client("others").get("/composes").status_code == 200


def test_white_space_after_a_header_value_is_ignored(service: Service, composer: StandInComposer) -> None:
    body = json.dumps(compose_request()).encode()
    ids = []
    key = uuid4().hex
    for behind in (" ", "\t ", ""):
        headers = {
            "x-rh-identity": identity("blanks") + behind,
            "Idempotency-Key": key + behind,
            "Content-Type": "application/json" + behind,
        }
        answer = raw_http.call(service.url, "POST", f"{BASE}/compose", headers, body)
        assert answer.status_code == 201, answer.text
        ids.append(answer.text)
    assert len(set(ids)) == 1


def with_many_files(name: str) -> dict[str, Any]:
    files = [{"path": f"/etc/{number}", "data": "x" * 800} for number in range(4000)]
    return blueprint(name, customizations={"files": files})


def test_an_idle_connection_keeps_no_memory_of_its_last_request(
    module_database: Parameters, composer: StandInComposer
) -> None:
    with Service(module_database, composer.url) as service:
        assert service.process is not None
        service.client("first").post("/blueprints", with_many_files("first"))
        before = cgroups.resident_of(service.process.pid)
        clients = [service.client(f"idle {number}") for number in range(20)]
        for client in clients:
            assert client.post("/blueprints", with_many_files("large")).status_code == 201
        assert cgroups.resident_of(service.process.pid) - before < 60 * 1024 * 1024


def test_large_bodies_of_one_organization_do_not_block_each_other(service: Service, tenant: str) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        made = [
            threads.submit(service.client(tenant).post, "/blueprints", with_many_files(f"b {number}"))
            for number in range(4)
        ]
    assert [each.result().status_code for each in made] == [201] * 4
    assert time.monotonic() - began < PATIENCE


def test_a_line_break_after_a_request_does_not_keep_a_connection_open() -> None:
    with serving(large_answer, keep_alive=1) as address, socket.create_connection(address, 20) as opened:
        opened.sendall(raw_http.head("GET", "/"))
        answer = raw_http.read(opened)
        assert answer is not None
        opened.sendall(b"\r\n")
        assert opened.recv(1) == b""


def test_a_request_target_without_a_path_is_the_root(service: Service) -> None:
    answer = raw_http.send(service.url, b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer is not None
    assert answer.status_code == 404
