"""A real PostgreSQL is stopped, killed, made read-only, or closes its connections, while requests run."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.postgres import EmbeddedPostgres
from adapters.postgres.migrate import migrate
from tests.support.at_once import at_once
from tests.support.blueprints import blueprint, kept, listed
from tests.support.builders import compose_request
from tests.support.database_promises import BACK_WITHIN, all_refused, in_time, refused, until_it_works
from tests.support.databases import Parameters, session
from tests.support.folders import open_data_folder
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE

CLIENTS = 16
# The stand-in composer lists its hundred newest builds.
ROUNDS = 5

OF_THE_SERVICE = "SELECT pid FROM pg_stat_activity WHERE application_name = 'image-builder'"
THROW_OUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'image-builder'"
HALF_WRITTEN = """
SELECT blueprints.id FROM blueprints
WHERE NOT EXISTS (SELECT 1 FROM blueprint_versions WHERE blueprint_id = blueprints.id AND version = 1)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    with open_data_folder() as folder, EmbeddedPostgres(folder / "data", settings={"fsync": "off"}) as running:
        migrate(running.connection_parameters())
        yield running


@pytest.fixture
def parameters(server: EmbeddedPostgres) -> Parameters:
    """The connection parameters of the server; a killed server is started again, maybe at another port."""
    server.start()
    return dict(server.connection_parameters())


@pytest.fixture(scope="module")
def running(
    server: EmbeddedPostgres, composer_process: StandInComposer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    quotas = tmp_path_factory.mktemp("settings") / "quotas.json"
    quotas.write_text(json.dumps({"default": {"quota": 10_000, "slidingWindow": 3600 * 10**9}}))
    environment = {"QUOTA_FILE": str(quotas)}
    with Service(dict(server.connection_parameters()), composer_process.url, environment=environment) as service:
        yield service


@pytest.fixture
def service(running: Service, parameters: Parameters, composer: StandInComposer) -> Service:
    """The running service with an available database."""
    until_it_works(running)
    return running


@contextmanager
def stopped(*processes: int) -> Iterator[None]:
    """Stop these processes during the context, without a signal to others."""
    for each in processes:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in processes:
            os.kill(each, signal.SIGCONT)


def backends(parameters: Parameters) -> list[int]:
    """The server processes of the service's connections."""
    with session(parameters) as connection:
        return [row[0] for row in connection.execute(OF_THE_SERVICE)]


def builds_at(composer: StandInComposer) -> set[str]:
    """The builds of the composer that were neither refused nor cancelled."""
    document = requests.get(f"{composer.api_url}/composes/", timeout=PATIENCE).json()
    assert document["total"] == len(document["items"])
    return {build["id"] for build in document["items"]}


def rows(parameters: Parameters) -> set[str]:
    with session(parameters) as connection:
        return {str(row[0]) for row in connection.execute("SELECT job_id FROM composes")}


def work(service: Service, tenant: str, number: int) -> list[requests.Response]:
    """The answers to one client that builds, saves blueprints and reads; it retries as Retry-After says."""
    client = service.client(tenant)
    answers = []
    for turn in range(ROUNDS):
        answers += [
            client.post("/compose", compose_request()),
            client.get("/composes"),
            client.post("/blueprints", blueprint(f"web {number} {turn}")),
            client.get("/blueprints"),
        ]
        if any(answer.status_code == 503 for answer in answers[-4:]):
            time.sleep(0.2)
    return answers


def nothing_is_lost(
    service: Service, parameters: Parameters, composer: StandInComposer, tenant: str, answers: list[requests.Response]
) -> None:
    """No answer may be a server error, every promised row must exist, and no unknown build may run."""
    assert {answer.status_code for answer in answers} <= {200, 201, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert int(answer.headers["Retry-After"]) > 0
    until_it_works(service)
    known = rows(parameters)
    assert promised(answers, "/compose") <= known
    assert builds_at(composer) <= known
    with session(parameters) as connection:
        kept = {str(row[0]) for row in connection.execute("SELECT id FROM blueprints WHERE org_id = %s", (tenant,))}
        assert connection.execute(HALF_WRITTEN).fetchall() == []
    assert promised(answers, "/blueprints") <= kept


def promised(answers: list[requests.Response], path: str) -> set[str]:
    """The ids that POST requests to this path returned."""
    made = [answer for answer in answers if answer.status_code == 201 and str(answer.url).endswith(path)]
    return {answer.json()["id"] for answer in made}


@contextmanager
def working(service: Service, tenant: str) -> Iterator[Callable[[], list[requests.Response]]]:
    """Clients work during the context; the yielded function waits for them and returns their answers."""
    with ThreadPoolExecutor(CLIENTS) as callers:
        begun = [callers.submit(work, service, tenant, number) for number in range(CLIENTS)]
        yield lambda: [answer for each in begun for answer in each.result()]


def calls(client: Client, blueprint_id: str) -> list[Callable[[], requests.Response]]:
    """Calls that read and write, in each lane of threads."""
    return [
        partial(client.get, "/composes"),
        partial(client.post, "/compose", compose_request()),
        partial(client.get, f"/blueprints/{blueprint_id}"),
        partial(client.request, "PUT", f"/blueprints/{blueprint_id}", json=blueprint("changed")),
        partial(client.post, f"/blueprints/{blueprint_id}/compose"),
    ]


def test_a_stopped_server_is_unavailable_until_it_continues(
    service: Service, server: EmbeddedPostgres, parameters: Parameters, composer: StandInComposer, tenant: str
) -> None:
    blueprint_id = kept(service.client(tenant))
    asking = [each for _ in range(4) for each in calls(service.client(tenant), blueprint_id)]
    assert server.pid is not None
    with stopped(server.pid, *backends(parameters)):
        all_refused(at_once(asking))
        all_refused([call() for call in calls(service.client(tenant), blueprint_id)])
    until_it_works(service)
    nothing_is_lost(service, parameters, composer, tenant, [])
    assert {call().status_code for call in calls(service.client(tenant), blueprint_id)} == {200, 201}


def test_connections_to_stopped_server_processes_are_replaced(
    service: Service, parameters: Parameters, tenant: str
) -> None:
    blueprint_id = kept(service.client(tenant))
    at_once(calls(service.client(tenant), blueprint_id) * 4)
    with stopped(*backends(parameters)):
        answers = at_once(calls(service.client(tenant), blueprint_id) * 2)
        in_time(answers)
        for answer in answers:
            if answer.status_code not in {200, 201}:
                refused(answer)
        until_it_works(service)
        assert {call().status_code for call in calls(service.client(tenant), blueprint_id)} == {200, 201}


def test_an_immediate_shutdown_during_requests_loses_nothing(
    service: Service, server: EmbeddedPostgres, parameters: Parameters, composer: StandInComposer, tenant: str
) -> None:
    with working(service, tenant) as answers:
        time.sleep(0.5)
        server.kill()
        time.sleep(1)
        server.start()
        told = answers()
    assert any(answer.status_code == 503 for answer in told)
    nothing_is_lost(service, dict(server.connection_parameters()), composer, tenant, told)


def test_repeatedly_killed_connections_lose_nothing(
    service: Service, parameters: Parameters, composer: StandInComposer, tenant: str
) -> None:
    ended = threading.Event()

    def kill() -> None:
        with session(parameters) as connection:
            while not ended.wait(0.03):
                connection.execute(THROW_OUT)

    killing = threading.Thread(target=kill)
    killing.start()
    try:
        with working(service, tenant) as answers:
            told = answers()
    finally:
        ended.set()
        killing.join()
    nothing_is_lost(service, parameters, composer, tenant, told)


@contextmanager
def read_only(parameters: Parameters) -> Iterator[None]:
    """Make the server read-only during the context, like a standby; sessions of that time stay read-only."""
    name = parameters["dbname"]

    def set_up(connection: Any, what: str) -> None:
        connection.execute(f"ALTER DATABASE {name} {what}".encode())

    with session({**parameters, "dbname": "postgres"}) as connection:
        set_up(connection, "SET default_transaction_read_only = on")
        connection.execute(THROW_OUT)
        try:
            yield
        finally:
            set_up(connection, "RESET default_transaction_read_only")


def test_a_read_only_server_serves_reads_until_a_writable_one_is_available(
    service: Service, parameters: Parameters, composer: StandInComposer, tenant: str
) -> None:
    client = service.client(tenant)
    blueprint_id = kept(client)
    reading, compose, _, change, _ = calls(client, blueprint_id)
    with read_only(parameters):
        for call in (compose, change, partial(client.delete, f"/blueprints/{blueprint_id}")):
            refused(call())
        assert "POST /compose" not in composer.counters()
        assert reading().status_code == 200
        assert [item["version"] for item in listed(client)["data"]] == [1]
    deadline = time.monotonic() + BACK_WITHIN
    while change().status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert compose().status_code == 201
