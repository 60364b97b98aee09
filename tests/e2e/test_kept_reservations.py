"""If the database does not answer the release of a reservation, it is released later, or logged as kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.database_proxy import WAYS, DatabaseProxy
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.rows import counts
from tests.support.service import Client, Service
from tests.support.waiting import STRETCH, until

EVENT = "reservation kept: the database did not answer the release"
TENANT = "refused"


@pytest.fixture
def proxy(database: Parameters) -> Iterator[DatabaseProxy]:
    with DatabaseProxy(database) as running:
        yield running


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "service.log"


@pytest.fixture
def service(proxy: DatabaseProxy, composer: StandInComposer, log: Path) -> Iterator[Service]:
    with Service(proxy.parameters, composer.url, log=log) as running:
        yield running


def kept(log: Path) -> int:
    return [json.loads(line)["event"] for line in log.read_text().splitlines()].count(EVENT)


def refused_while_the_database_goes_away(client: Client, composer: StandInComposer, proxy: DatabaseProxy) -> None:
    composer.steer(latency=0.5 * STRETCH, post_error={"status": 400, "id": "24", "reason": "no"})
    with ThreadPoolExecutor(1) as caller:
        asked = caller.submit(client.post, "/compose", compose_request())
        until(lambda: "POST /compose" in composer.counters(), "the composer is asked")
        WAYS["port closed"](proxy)
        assert refusal(asked.result(), 400) == "no"


def test_a_reservation_is_released_when_the_database_is_available_again(
    database: Parameters, service: Service, composer: StandInComposer, proxy: DatabaseProxy, log: Path
) -> None:
    refused_while_the_database_goes_away(service.client(TENANT), composer, proxy)
    assert counts(database, TENANT) == (0, 1)
    proxy.back()
    until(lambda: counts(database, TENANT) == (0, 0), "the reservation is released")
    service.stop()
    assert kept(log) == 0


def test_a_kept_reservation_is_logged_once_if_the_service_ends_first(
    database: Parameters, service: Service, composer: StandInComposer, proxy: DatabaseProxy, log: Path
) -> None:
    client = service.client(TENANT)
    refused_while_the_database_goes_away(client, composer, proxy)
    refusal(client.post("/compose", compose_request()), 503)
    service.stop()
    assert counts(database, TENANT) == (0, 1)
    assert kept(log) == 1
