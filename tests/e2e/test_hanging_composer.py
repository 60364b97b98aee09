"""A hanging composer delays only the requests that need it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE

WAITING = 60


def tenant_of(build: int) -> str:
    """The organization of this build."""
    return f"waiting {build % 2}"


def seconds(client: Client, path: str, base: str | None = None) -> float:
    """The seconds until an answer, which must be successful."""
    began = time.monotonic()
    answer = client.get(path) if base is None else client.get(path, base=base)
    assert answer.status_code == 200, answer.text
    return time.monotonic() - began


def test_requests_that_do_not_need_a_hanging_composer_are_answered_at_once(
    database: Parameters, composer: StandInComposer
) -> None:
    with Service(database, composer.url) as service, ThreadPoolExecutor(WAITING) as others:
        client = service.client("reading")
        # One each: those who ask for the same build share the answer. Of two organizations: one gets half the threads.
        builds = [service.client(tenant_of(number)).compose(compose_request()) for number in range(WAITING // 2)]
        asked_before = sum(composer.counters().values())
        composer.steer(hang=True)

        def wait(number: int) -> requests.Response:
            waiting = service.client(tenant_of(number // 2))
            if number % 2:
                return waiting.post("/compose", compose_request())
            return waiting.get(f"/composes/{builds[number // 2]}")

        answers = [others.submit(wait, number) for number in range(WAITING)]
        deadline = time.monotonic() + PATIENCE
        while sum(composer.counters().values()) < WAITING + asked_before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert sum(composer.counters().values()) == WAITING + asked_before
        times = []
        for _ in range(3):
            times += [
                seconds(client, "/version"),
                seconds(client, "/composes"),
                seconds(client, "/distributions"),
                seconds(client, "/ready", base=""),
            ]
        assert not any(answer.done() for answer in answers)

        reading = [answer for number, answer in enumerate(answers) if number % 2 == 0]
        for answer in reading:
            refusal(answer.result(PATIENCE), 503)
            assert int(answer.result().headers["Retry-After"]) > 0
        asked_before = composer.counters()["GET /composes/{id}"]
        refusal(service.client(tenant_of(0)).get(f"/composes/{builds[0]}"), 503)
        assert composer.counters()["GET /composes/{id}"] == asked_before, "the composer is left alone for a while"

        composer.steer(hang=None)
        starting = [answer for number, answer in enumerate(answers) if number % 2]
        assert {answer.result(PATIENCE).status_code for answer in starting} == {201}
        assert client.get("/composes").status_code == 200
