"""Package resolutions of checks: shared by equal requests, few per organization, no burden for other organizations."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.flood import flooded
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE, SOON, until

DEPSOLVE = "POST /depsolve/blueprint"
CHECK = "/compose/check"


def unlike_others() -> dict[str, Any]:
    """A request whose resolution no other test asks for."""
    return compose_request(customizations={"packages": [f"no-such-{uuid4().hex}"]})


class Resolutions:
    """The resolutions at the composer that began during a test; they do not end before `release`."""

    def __init__(self, composer: StandInComposer) -> None:
        self._composer = composer
        self._before = composer.counters().get(DEPSOLVE, 0)
        composer.steer(depsolve_hang=True)

    @property
    def begun(self) -> int:
        return self._composer.counters().get(DEPSOLVE, 0) - self._before

    def wait_for(self, number: int) -> None:
        until(lambda: self.begun == number, f"{number} resolutions have begun")

    def release(self) -> None:
        self._composer.steer(depsolve_hang=None)


@pytest.fixture
def resolutions(composer: StandInComposer) -> Iterator[Resolutions]:
    held = Resolutions(composer)
    yield held
    held.release()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def test_a_hundred_equal_simultaneous_checks_make_one_call(
    service: Service, tenant: str, resolutions: Resolutions
) -> None:
    with flooded(service, tenant, CHECK, unlike_others(), 100) as flood:
        until(lambda: flood.sent == 100 and resolutions.begun, "all checks are sent, and one resolution has begun")
        resolutions.release()
    assert flood.statuses == Counter({200: 100})
    assert resolutions.begun == 1


def test_a_third_resolution_of_an_organization_is_refused_with_429(
    service: Service, client: Client, resolutions: Resolutions, threads: ThreadPoolExecutor
) -> None:
    bodies = [unlike_others(), unlike_others()]
    running = [threads.submit(client.post, CHECK, body) for body in bodies]
    resolutions.wait_for(2)
    refused = client.post(CHECK, unlike_others())
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "5"
    assert refused.json()["errors"][0]["title"] == "429"
    # An equal check and that of another organization are not refused.
    running.append(threads.submit(client.post, CHECK, bodies[0]))
    running.append(threads.submit(service.client(uuid4().hex).post, CHECK, unlike_others()))
    resolutions.wait_for(3)
    resolutions.release()
    assert [each.result(PATIENCE).status_code for each in running] == [200] * 4


def test_a_resolution_that_has_ended_gives_its_place_back(client: Client) -> None:
    assert [client.post(CHECK, unlike_others()).status_code for _ in range(4)] == [200] * 4


@contextmanager
def flooded_with_different_checks(client: Client, threads: ThreadPoolExecutor) -> Iterator[Counter[int]]:
    """Send different checks all the time; yields the counts of their statuses."""
    statuses: Counter[int] = Counter()
    ended = Event()

    def send() -> None:
        while not ended.is_set():
            statuses[client.post(CHECK, unlike_others()).status_code] += 1

    senders = [threads.submit(send) for _ in range(12)]
    try:
        yield statuses
    finally:
        ended.set()
        for sender in senders:
            sender.result(PATIENCE)


def test_an_organization_that_floods_slow_checks_does_not_delay_the_builds_of_another(
    service: Service, client: Client, resolutions: Resolutions, threads: ThreadPoolExecutor
) -> None:
    neighbour = service.client(uuid4().hex)
    with flooded_with_different_checks(client, threads) as statuses:
        try:
            resolutions.wait_for(2)
            until(lambda: statuses[429] > 20, "the flood has begun")
            for _ in range(3):
                began = time.monotonic()
                assert neighbour.post("/compose", compose_request()).status_code == 201
                assert time.monotonic() - began < SOON
        finally:
            resolutions.release()
    assert set(statuses) <= {200, 429}


def test_checks_that_wait_for_a_shared_answer_do_not_delay_the_builds_of_another_organization(
    service: Service, tenant: str, resolutions: Resolutions
) -> None:
    neighbour = service.client(uuid4().hex)
    with flooded(service, tenant, CHECK, unlike_others(), 200) as flood:
        try:
            until(lambda: flood.sent == 200 and resolutions.begun, "the flood has begun")
            began = time.monotonic()
            assert neighbour.post("/compose", compose_request()).status_code == 201
            assert time.monotonic() - began < SOON
        finally:
            resolutions.release()
    assert flood.statuses == Counter({200: 200})
