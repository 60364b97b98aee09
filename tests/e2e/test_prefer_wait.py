"""Requests that wait for another status of a build (Prefer: wait), and conditional ones (If-None-Match)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.databases import Parameters, session
from tests.support.metrics import scrape
from tests.support.refusals import refusal
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE, SOON

BUILDING = {"status": "building"}
WATCHING = {"STATUS_LOOKS_PER_SECOND": "50"}


@pytest.fixture(scope="module")
def watching(module_database: Parameters, composer_process: StandInComposer) -> Iterator[Service]:
    with Service(module_database, composer_process.url, environment=WATCHING) as running:
        yield running


@pytest.fixture
def watched(watching: Service, composer: StandInComposer, tenant: str) -> Client:
    return watching.client(tenant)


@pytest.fixture
def compose_id(client: Client, composer: StandInComposer) -> str:
    """A build that is being built."""
    composer.steer(image_status=BUILDING)
    return client.compose(compose_request())


def ask(client: Client, compose_id: str, **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get(f"/composes/{compose_id}", headers=named)


def make_stale(database: Parameters) -> None:
    """Let the next request, or the watcher, ask the composer again."""
    with session(database) as connection:
        connection.execute(
            "UPDATE compose_statuses SET looked_at = looked_at - interval '1 minute', "
            "next_look_at = now() AT TIME ZONE 'utc' WHERE next_look_at IS NOT NULL"
        )


# If-None-Match


def test_an_answer_has_a_weak_entity_tag_of_the_status(client: Client, compose_id: str) -> None:
    answer = ask(client, compose_id)
    assert answer.headers["ETag"] == 'W/"building"'
    assert "Preference-Applied" not in answer.headers


@pytest.mark.parametrize("known", ['W/"building"', '"building"', '"x", W/"building"', "*"])
def test_a_known_status_is_not_sent_again(client: Client, compose_id: str, known: str) -> None:
    answer = ask(client, compose_id, If_None_Match=known)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == 'W/"building"'


def test_another_status_is_sent(client: Client, compose_id: str) -> None:
    answer = ask(client, compose_id, If_None_Match='W/"pending"')
    assert answer.status_code == 200
    assert answer.json()["image_status"] == BUILDING


# Waiting


def test_a_status_that_is_another_one_already_is_answered_at_once(client: Client, compose_id: str) -> None:
    began = time.monotonic()
    answer = ask(client, compose_id, If_None_Match='W/"pending"', Prefer="wait=60")
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=60"
    assert time.monotonic() - began < SOON


@pytest.mark.parametrize("known", [{}, {"If_None_Match": 'W/"building"'}], ids=["at arrival", "known"])
def test_an_unchanged_status_is_answered_with_304_after_the_wait(
    client: Client, compose_id: str, known: dict[str, str]
) -> None:
    began = time.monotonic()
    answer = ask(client, compose_id, Prefer="wait=2", **known)
    assert (answer.status_code, answer.content) == (304, b"")
    assert time.monotonic() - began >= 2
    assert answer.headers["Preference-Applied"] == "wait=2"
    assert answer.headers["ETag"] == 'W/"building"'


@pytest.mark.parametrize("known", [{}, {"If_None_Match": 'W/"building"'}], ids=["at arrival", "known"])
def test_a_change_is_answered_when_the_service_learns_of_it(
    watched: Client, composer: StandInComposer, module_database: Parameters, known: dict[str, str]
) -> None:
    composer.steer(image_status=BUILDING)
    compose_id = watched.compose(compose_request())
    began = time.monotonic()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(ask, watched, compose_id, Prefer="wait=60", **known)
        # A request that does not wait is answered within milliseconds.
        time.sleep(1)
        assert not answer.done()
        composer.steer(image_status={"status": "success"})
        make_stale(module_database)
        changed = answer.result(PATIENCE)
    assert changed.status_code == 200
    assert changed.json()["image_status"] == {"status": "success"}
    assert changed.headers["ETag"] == 'W/"success"'
    assert time.monotonic() - began < 55


@pytest.mark.parametrize(
    "prefer",
    ["wait=0", "respond-async", "foo; wait=5", "wait", "Wait = 1, wait=60", 'wait="1"', "respond-async, wait=1;x"],
)
def test_preferences_of_other_forms_do_not_make_a_request_wait_long(
    client: Client, compose_id: str, prefer: str
) -> None:
    began = time.monotonic()
    assert ask(client, compose_id, Prefer=prefer).status_code in {200, 304}
    assert time.monotonic() - began < SOON


@pytest.mark.parametrize("prefer", ["wait=9999999", "wait=61", "wait=-1", "wait=1.5", "wait=soon", "wait="])
def test_a_wait_that_is_not_possible_is_refused(client: Client, compose_id: str, prefer: str) -> None:
    answer = ask(client, compose_id, Prefer=prefer)
    refusal(answer, 400)
    assert "wait=60" in answer.text


def test_a_header_that_is_no_list_of_entity_tags_is_refused(client: Client, compose_id: str) -> None:
    refusal(ask(client, compose_id, If_None_Match="building"), 400)


def test_an_unknown_build_is_not_waited_for(client: Client, service: Service, compose_id: str) -> None:
    refusal(ask(service.client("somebody else"), compose_id, Prefer="wait=60"), 404)


def test_waiting_requests_hold_no_thread_and_no_connection_and_are_answered_at_the_end(
    database: Parameters, composer: StandInComposer
) -> None:
    composer.steer(image_status=BUILDING)
    few = {"DIRECT_THREADS": "10", "WAITING_THREADS": "10", "DB_POOL_SIZE": "2", **WATCHING}
    with ThreadPoolExecutor(40) as threads:
        with Service(database, composer.url, environment=few) as service:
            client = service.client("000001")
            compose_id = client.compose(compose_request())
            answers: list[Future[requests.Response]] = [
                threads.submit(ask, service.client("000001"), compose_id, Prefer="wait=60") for _ in range(40)
            ]
            time.sleep(3)
            assert [answer.result().status_code for answer in answers if answer.done()] == []
            for _ in range(20):
                assert client.get("/version").status_code == 200
                assert client.get("/composes").status_code == 200
            began = time.monotonic()
        for answer in answers:
            assert answer.result(PATIENCE).status_code == 304
        assert time.monotonic() - began < 55, "SIGTERM answers waiting requests at once"


def test_waiting_does_not_count_as_latency(client: Client, service: Service, compose_id: str) -> None:
    def seconds() -> float:
        return scrape(service.url).value("http_duration_seconds_sum", path="/composes/{composeId}")

    before = seconds()
    assert ask(client, compose_id, Prefer="wait=5").status_code == 304
    assert seconds() - before < 4.5


def test_a_client_that_goes_away_is_not_waited_for(
    client: Client, service: Service, tenant: str, compose_id: str
) -> None:
    for _ in range(5):
        with pytest.raises(requests.Timeout):
            requests.get(
                f"{service.url}/api/image-builder/v1/composes/{compose_id}",
                headers={"Prefer": "wait=60", "x-rh-identity": str(client._session.headers["x-rh-identity"])},
                timeout=1,
            )
    began = time.monotonic()
    assert ask(client, compose_id).status_code == 200
    assert time.monotonic() - began < SOON
