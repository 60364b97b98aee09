"""One organization requests all capacity of the service; other organizations notice little."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import blueprint, composed, kept, put
from tests.support.builders import compose_request, image_request
from tests.support.composes import status_of
from tests.support.databases import Parameters
from tests.support.flood import Flood, flooded
from tests.support.rows import counts
from tests.support.service import Client, Service
from tests.support.waiting import SOON, until

# Half of the default WAITING_THREADS: what one organization may keep busy.
HALF = 40


@pytest.fixture
def attacker() -> str:
    return uuid4().hex


@pytest.fixture
def neighbour(service: Service, composer: StandInComposer) -> Client:
    return service.client(uuid4().hex)


def under_way(composer: StandInComposer) -> int:
    """The number of builds that were submitted to the composer."""
    return composer.counters().get("POST /compose", 0)


@contextmanager
def attacked(
    service: Service, composer: StandInComposer, attacker: str, path: str, body: object, number: int
) -> Iterator[Flood]:
    """The attacker occupies all its threads, and its other requests wait. At the end the composer is fast."""
    before = under_way(composer)
    with flooded(service, attacker, path, body, number) as flood:
        try:
            until(lambda: flood.sent == number and under_way(composer) >= before + HALF, "the attack has begun")
            yield flood
        finally:
            composer.steer(hang=None, post_latency=None)


def answered_soon(began: float, answer: requests.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert time.monotonic() - began < SOON


def test_900_parallel_composes_of_one_organization_do_not_delay_other_organizations(
    service: Service, composer: StandInComposer, attacker: str, neighbour: Client
) -> None:
    composer.steer(post_latency=2.0)
    with attacked(service, composer, attacker, "/compose", compose_request(), 900) as flood:
        for number in range(2):
            began = time.monotonic()
            answered_soon(began, neighbour.post("/compose", compose_request()), 201)
            if not number:
                # First come, first served, it would have waited for nearly all of them. A busy machine may have
                # answered them by the second time.
                assert flood.statuses[201] < 5 * HALF, "most of the attack still waits"
    # The attacker's own requests are carried out, too, but for those that found no place to wait.
    assert set(flood.statuses) == {201, 503}
    assert flood.statuses[201] >= 400


def test_an_organization_that_builds_many_images_does_not_delay_other_organizations(
    service: Service, composer: StandInComposer, attacker: str, neighbour: Client, module_database: Parameters
) -> None:
    many = [image_request(size=(number + 1) * 1024**3) for number in range(36)]
    large = kept(service.client(attacker), blueprint("many", *many))
    small = kept(neighbour, blueprint("two", image_request(), image_request("wsl")))
    composer.steer(post_latency=2.0)
    with attacked(service, composer, attacker, f"/blueprints/{large}/compose", {}, 45) as flood:
        until(lambda: sum(counts(module_database, attacker)) >= HALF * 36, "more than a thousand images wait")
        began = time.monotonic()
        answered_soon(began, neighbour.post(f"/blueprints/{small}/compose", {}), 201)
        assert flood.statuses.total() < 45, "the attack still goes on"


def needing_no_back_end(client: Client, finished: str, known: str) -> dict[str, tuple[requests.Response, int]]:
    """Answers to requests that may need a back-end but do not need one here, with their expected statuses."""
    name = uuid4().hex
    return {
        "status of a finished build": (client.get(f"/composes/{finished}"), 200),
        "a blueprint": (client.get(f"/blueprints/{known}"), 200),
        "its export": (client.get(f"/blueprints/{known}/export"), 200),
        "its fixup": (client.post(f"/experimental/blueprints/{known}/fixup"), 200),
        "a new blueprint": (client.post("/blueprints", blueprint(name)), 201),
        "a new blueprint under a key": (
            client.post("/blueprints", blueprint(f"{name}2"), headers={"Idempotency-Key": name}),
            201,
        ),
        "a change of it": (put(client, known, blueprint(f"{name}3")), 200),
        "features": (client.get("/features"), 200),
        "the list": (client.get("/composes"), 200),
        "the version": (client.get("/version"), 200),
    }


def test_requests_without_back_end_calls_never_wait_for_those_with_calls_even_in_one_organization(
    service: Service, composer: StandInComposer, attacker: str, neighbour: Client
) -> None:
    own = service.client(attacker)
    clients = (own, neighbour)
    finished = {client: client.compose(compose_request()) for client in clients}
    running = own.compose(compose_request())
    known = {client: kept(client, blueprint("known")) for client in clients}
    for client in clients:
        until(lambda: status_of(client, finished[client])["image_status"]["status"] == "success", "a build ends")  # noqa: B023
    composer.steer(hang=True)
    with attacked(service, composer, attacker, "/compose", compose_request(), 100):
        for client in clients:
            for name, (answer, status) in needing_no_back_end(client, finished[client], known[client]).items():
                assert answer.status_code == status, (name, answer.text)
        # What needs the composer waits for it, in its turn.
        with pytest.raises(requests.Timeout):
            own._session.get(f"{service.url}/api/image-builder/v1/composes/{running}", timeout=0.5)


def test_a_request_that_turns_out_to_need_a_back_end_queues_and_is_answered(
    service: Service, composer: StandInComposer, attacker: str
) -> None:
    own = service.client(attacker)
    running = own.compose(compose_request())
    composer.steer(post_latency=1.0)
    with attacked(service, composer, attacker, "/compose", compose_request(), 100):
        assert status_of(own, running)["image_status"]["status"]


def test_all_images_of_a_blueprint_are_built_during_an_attack(
    service: Service, composer: StandInComposer, attacker: str, neighbour: Client
) -> None:
    images = [image_request(size=(number + 1) * 1024**3) for number in range(5)]
    five = kept(neighbour, blueprint("five", *images))
    composer.steer(post_latency=0.5)
    with attacked(service, composer, attacker, "/compose", compose_request(), 200):
        assert len(composed(neighbour, five)) == 5


@pytest.fixture(scope="module")
def service(module_database: Parameters, composer_process: StandInComposer) -> Iterator[Service]:
    # The builds of an attack take long to be recorded on a busy machine.
    with Service(module_database, composer_process.url, environment={"COMPOSE_DEADLINE": "120"}) as running:
        yield running
