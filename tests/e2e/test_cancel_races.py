"""Cancellations at the same time as others, as a build's end, and at a composer that lies or breaks off."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.at_once import at_once, statuses
from tests.support.builders import compose_request
from tests.support.composes import status_of
from tests.support.databases import Parameters, query, session
from tests.support.holds import add_gate, freeze_after_commit, held_up
from tests.support.pods import RECONCILING, Pod, pods
from tests.support.refusals import refusal
from tests.support.rounds import SEED, repeated
from tests.support.rows import insert_final_status
from tests.support.service import Client, Service
from tests.support.stand_in import Client as ComposerClient
from tests.support.waiting import STRETCH, until

BUILDING = {"status": "building"}
INTENTS = "SELECT job_id FROM compose_cancellations"
CANCELLED = {"status": "failure", "error": {"id": 0, "reason": "Cancelled", "details": None}}
# Seconds of a build at the stand-in composer of the tests.
DURATION = 1.0
DELETE = "DELETE /composes/{id}"


@pytest.fixture(scope="module")
def both(module_database: Parameters, composer_process: StandInComposer) -> Iterator[list[Pod]]:
    """Two pods that watch statuses, and complete abandoned cancellations soon."""
    add_gate(module_database, "compose_cancellations")
    environment = {**RECONCILING, "STATUS_LOOKS_PER_SECOND": "20"}
    with pods(2, module_database, composer_process.url, environment) as running:
        yield running


@pytest.fixture
def alone(database: Parameters, composer: StandInComposer) -> Iterator[Service]:
    """A service with its own database, so that no other service completes its cancellations."""
    with Service(database, composer.url) as running:
        yield running


@pytest.fixture
def clients(both: list[Pod], composer: StandInComposer, tenant: str) -> list[Client]:
    """A client of each pod, with a reset composer."""
    return [pod.client(tenant) for pod in both]


def cancel(client: Client, build: str, key: str | None = None) -> requests.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(f"/composes/{build}/cancel", headers=headers)


def is_cancelled(status: Any) -> bool:
    return status["status"] == "failure" and status["error"]["code"] == "cancelled"


def is_gone(composer: StandInComposer, build: str) -> bool:
    return ComposerClient(composer)("GET", f"/composes/{build}").status_code == 404


def deletions(composer: StandInComposer) -> int:
    return composer.counters().get(DELETE, 0)


def until_completed(database: Parameters) -> None:
    until(lambda: query(database, INTENTS) == [], "no intent is left")


def test_one_of_simultaneous_cancellations_with_one_key_is_carried_out(
    clients: list[Client], composer: StandInComposer
) -> None:
    composer.steer(image_status=BUILDING, delete_latency=0.3)
    build, key = clients[0].compose(compose_request()), uuid4().hex
    answers = at_once([partial(cancel, clients[number % 2], build, key) for number in range(20)])
    assert statuses(answers).keys() <= {200, 409}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers if answer.status_code == 409)
    assert deletions(composer) == 1
    assert cancel(clients[1], build, key).status_code == 200
    assert is_cancelled(status_of(clients[0], build)["image_status"])


def test_cancellations_of_two_pods_at_the_same_time_agree(
    clients: list[Client], composer: StandInComposer, module_database: Parameters
) -> None:
    composer.steer(image_status=BUILDING)
    builds = [clients[0].compose(compose_request()) for _ in range(repeated(3, 20))]
    for build in builds:
        answers = at_once([partial(cancel, clients[number % 2], build) for number in range(6)])
        assert 200 in statuses(answers)
        assert statuses(answers).keys() <= {200, 409}
        assert all("it was cancelled" in answer.text for answer in answers if answer.status_code == 409)
        told = [answer.json() for answer in answers if answer.status_code == 200]
        assert told == [status_of(clients[0], build)] * len(told)
        assert is_gone(composer, build)
    until_completed(module_database)


@pytest.mark.parametrize("status", [200, 404, 405, 500])
def test_a_build_that_goes_on_in_spite_of_the_answer_is_not_shown_as_cancelled(
    clients: list[Client], composer: StandInComposer, module_database: Parameters, status: int
) -> None:
    composer.steer(image_status=BUILDING, raw={DELETE: {"status": status, "body": {}}})
    build = clients[0].compose(compose_request())
    answer = cancel(clients[0], build)
    refusal(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert "completed later" in answer.text
    tried = deletions(composer)
    until(lambda: deletions(composer) > tried, "the reconciler has tried it")
    assert status_of(clients[1], build)["image_status"] == BUILDING
    composer.steer(raw={})
    until(lambda: is_cancelled(status_of(clients[1], build)["image_status"]), "the build is cancelled")
    assert is_gone(composer, build)
    until_completed(module_database)


@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_build_that_ends_although_its_deletion_is_answered_keeps_its_status(
    clients: list[Client], composer: StandInComposer, module_database: Parameters, status: int
) -> None:
    composer.steer(image_status=BUILDING, raw={DELETE: {"status": status, "body": {}}})
    build = clients[0].compose(compose_request())
    refusal(cancel(clients[0], build), 503)
    composer.steer(image_status={"status": "success"})
    until(lambda: status_of(clients[1], build)["image_status"] == {"status": "success"}, "the build has ended")
    until_completed(module_database)
    refusal(cancel(clients[0], build), 409)
    assert not is_gone(composer, build)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_composer_that_breaks_off_the_deletion_has_deleted_the_build_in_the_end(
    clients: list[Client], composer: StandInComposer, module_database: Parameters, moment: str
) -> None:
    composer.steer(image_status=BUILDING, delete_drop=moment)
    build = clients[0].compose(compose_request())
    answer = cancel(clients[0], build)
    assert answer.status_code == {"before": 503, "after": 200}[moment], answer.text
    composer.steer(delete_drop=None)
    until(lambda: is_cancelled(status_of(clients[1], build)["image_status"]), "the build is cancelled")
    assert is_gone(composer, build)
    until_completed(module_database)


def test_a_composer_that_hangs_at_the_look_leaves_the_build_alone(
    clients: list[Client], composer: StandInComposer, module_database: Parameters
) -> None:
    composer.steer(image_status=BUILDING)
    build = clients[0].compose(compose_request())
    composer.steer(hang=True)
    answer = cancel(clients[0], build)
    refusal(answer, 503)
    assert "later" not in answer.text
    assert query(module_database, INTENTS) == []
    composer.steer(hang=None)
    until(lambda: status_of(clients[1], build)["image_status"] == BUILDING, "the build goes on")


def test_a_composer_that_hangs_at_the_deletion_has_deleted_the_build_in_the_end(
    both: list[Pod], clients: list[Client], composer: StandInComposer, module_database: Parameters
) -> None:
    composer.steer(image_status=BUILDING)
    build = clients[0].compose(compose_request())
    with ThreadPoolExecutor(1) as thread:
        answers: list[Future[requests.Response]] = []
        freeze_after_commit(
            module_database,
            both[0],
            "compose_cancellations",
            lambda: answers.append(thread.submit(cancel, clients[0], build)),
        )
        composer.steer(hang=True)
        both[0].thaw()
        answer = answers[0].result()
    refusal(answer, 503)
    assert "completed later" in answer.text
    composer.steer(hang=None)
    until(lambda: is_cancelled(status_of(clients[1], build)["image_status"]), "the build is cancelled")
    assert is_gone(composer, build)
    until_completed(module_database)


def test_a_retry_with_the_same_key_after_a_503_is_carried_out(
    alone: Service, composer: StandInComposer, tenant: str
) -> None:
    client, key = alone.client(tenant), uuid4().hex
    composer.steer(image_status=BUILDING, delete_error={"status": 500, "id": "1000", "reason": "broken"})
    build = client.compose(compose_request())
    refusal(cancel(client, build, key), 503)
    composer.steer(delete_error=None)
    answers = [cancel(client, build, key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert is_gone(composer, build)


def test_a_build_is_cancelled_and_deleted_at_the_same_time(
    clients: list[Client], composer: StandInComposer, module_database: Parameters
) -> None:
    composer.steer(image_status=BUILDING, delete_latency=0.5 * STRETCH)
    build = clients[0].compose(compose_request())
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(cancel, clients[0], build)
        until(lambda: query(module_database, INTENTS), "the intent is recorded")
        assert clients[1].delete(f"/composes/{build}").status_code == 200
        assert answer.result().status_code in {200, 404}
    until_completed(module_database)
    assert is_gone(composer, build)
    refusal(cancel(clients[0], build), 404)
    assert clients[0].get("/quota").status_code == 200


def test_a_cancellation_of_a_deleted_build_is_completed(
    clients: list[Client], composer: StandInComposer, module_database: Parameters
) -> None:
    composer.steer(image_status=BUILDING, delete_error={"status": 500, "id": "1000", "reason": "broken"})
    build = clients[0].compose(compose_request())
    refusal(cancel(clients[0], build), 503)
    assert clients[1].delete(f"/composes/{build}").status_code == 200
    composer.steer(delete_error=None)
    until_completed(module_database)
    assert is_gone(composer, build)


@pytest.mark.parametrize("operation", ["cancel", "look"])
def test_a_cancellation_that_another_request_completes_meanwhile_is_seen(
    alone: Service, composer: StandInComposer, tenant: str, database: Parameters, operation: str
) -> None:
    """The composer has deleted the build; its intent goes away while this request waits to search for it."""
    client = alone.client(tenant)

    def race() -> requests.Response:
        build = client.compose(compose_request())
        with session(database) as connection:
            connection.execute(
                "INSERT INTO compose_cancellations (id, job_id, cancelled_by, created_at, attempted_at) "
                "SELECT %s, %s, '', at, at FROM (SELECT now() AT TIME ZONE 'utc' AS at) present",
                (uuid4(), build),
            )
        ComposerClient(composer)("DELETE", f"/composes/{build}")
        calls: dict[str, Callable[[], requests.Response]] = {
            "cancel": partial(cancel, client, build),
            "look": partial(client.get, f"/composes/{build}"),
        }
        answers: list[Future[requests.Response]] = []
        with ThreadPoolExecutor(1) as thread:
            with held_up(
                database,
                "LOCK TABLE compose_cancellations IN ACCESS EXCLUSIVE MODE",
                lambda: answers.append(thread.submit(calls[operation])),
            ) as other:
                insert_final_status(database, build, CANCELLED)
                other.execute("DELETE FROM compose_cancellations WHERE job_id = %s", (build,))
                other.commit()
            return answers[0].result()

    answers: list[requests.Response] = []
    # 503: on a busy machine the statement that searches for the intent ran into its time limit.
    until(lambda: (answers.append(race()), answers[-1].status_code != 503)[1], "the other request is in time")
    if operation == "cancel":
        refusal(answers[-1], 409)
        assert "it was cancelled" in answers[-1].text
    else:
        assert is_cancelled(answers[-1].json()["image_status"])


def test_the_final_status_of_builds_that_end_while_they_are_cancelled_never_changes(
    clients: list[Client], both: list[Pod], tenant: str, module_database: Parameters
) -> None:
    """Builds end at about the time of their cancellation, while requests and the watcher look at them."""
    builds = {clients[0].compose(compose_request()): time.monotonic() for _ in range(repeated(10, 60))}
    seen: dict[str, list[Any]] = {build: [] for build in builds}
    cancelled_at: dict[str, float] = {}
    ended = threading.Event()

    def look() -> None:
        client = both[1].client(tenant)
        while not ended.is_set():
            for build in builds:
                shown = status_of(client, build)["image_status"]
                if shown["status"] in {"success", "failure"}:
                    seen[build].append(shown)

    chance = random.Random(SEED)  # noqa: S311 - no secret

    def cancel_late(build: str) -> requests.Response:
        # At any moment of the build's duration, and shortly after it.
        time.sleep(chance.uniform(0, 1.2 * DURATION))
        cancelled_at[build] = time.monotonic()
        return cancel(both[0].client(tenant), build)

    with ThreadPoolExecutor(11) as threads:
        looking = threads.submit(look)
        answers = dict(zip(builds, threads.map(cancel_late, builds), strict=True))
        until(lambda: all(seen.values()), "all builds have ended")
        ended.set()
        looking.result()
    until_completed(module_database)
    for build, answer in answers.items():
        assert answer.status_code in {200, 409}, answer.text
        assert seen[build] == [seen[build][0]] * len(seen[build])
        assert is_cancelled(seen[build][0]) is (answer.status_code == 200)
        if cancelled_at[build] > builds[build] + DURATION:
            assert seen[build][0]["status"] == "success", "the build had ended before the look"
