"""The status watcher asks the composer about builds, so that lists have statuses that no client has requested."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.composes import status_of
from tests.support.databases import Parameters, query, session
from tests.support.known_statuses import BUILDING, listed_status, make_due
from tests.support.metrics import eventually
from tests.support.pods import pods
from tests.support.refusals import refusal
from tests.support.rounds import SEED, sampled
from tests.support.rows import insert_compose
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE, SOON, STRETCH, until

WATCHING = {"STATUS_LOOKS_PER_SECOND": "50"}
# Seconds until another pod watches, and until it looks at a young build.
TAKE_OVER = (30.0 + 10.0) * STRETCH
AMI = {"status": "success", "type": "aws", "options": {"ami": "ami-1", "region": "us-east-1"}}


@pytest.fixture(scope="module")
def watching(module_database: Parameters, composer_process: StandInComposer) -> Iterator[Service]:
    """A service whose status watcher is on."""
    with Service(module_database, composer_process.url, environment=WATCHING) as running:
        yield running


@pytest.fixture
def watched(watching: Service, composer: StandInComposer, tenant: str) -> Client:
    """A client of it."""
    return watching.client(tenant)


def looked_at(database: Parameters, compose_id: object) -> bool:
    rows = query(database, "SELECT job_id FROM compose_statuses WHERE looked_at IS NOT NULL")
    return (UUID(str(compose_id)),) in rows


# Lists


def test_a_list_tells_how_builds_go_that_nobody_asked_for(
    watched: Client, composer: StandInComposer, module_database: Parameters
) -> None:
    composer.steer(image_status=BUILDING)
    compose_id = watched.compose(compose_request("aws", "aws"))
    until(lambda: listed_status(watched, compose_id) == BUILDING, "the list tells the status")
    composer.steer(image_status={"status": "success", "upload_status": AMI})
    make_due(module_database, compose_id)
    final = {"status": "success", "upload_status": AMI}
    until(lambda: listed_status(watched, compose_id) == final, "the list tells the final status")
    composer.steer(hang=True)
    assert status_of(watched, compose_id)["image_status"] == final


def test_a_list_explains_failures(watched: Client, composer: StandInComposer) -> None:
    compose_id = watched.compose(compose_request(customizations={"packages": ["no-such-package-x"]}))
    until(lambda: (listed_status(watched, compose_id) or {}).get("status") == "failure", "the build has failed")
    error = listed_status(watched, compose_id)["error"]
    assert (error["id"], error["code"], error["responsible"]) == (21, "packages-not-found", "request")
    assert "no-such-package-x" in error["hint"]


# The watcher


def test_builds_of_the_go_service_are_watched_and_those_that_the_composer_forgot_are_not_shown_with_a_status(
    watching: Service, watched: Client, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    compose_id = insert_compose(module_database, tenant)
    until(lambda: looked_at(module_database, compose_id), "the watcher has asked about it")
    assert listed_status(watched, compose_id) is None
    refusal(watched.get(f"/composes/{compose_id}"), 404)
    forgotten = eventually(watching.url, lambda seen: seen.value("status_looks_total", outcome="forgotten"))
    assert forgotten.value("builds_unfinished", age="up to 30 minutes") >= 0


def test_a_forgotten_build_that_the_composer_knows_again_has_its_status(
    watched: Client, composer: StandInComposer, module_database: Parameters
) -> None:
    composer.steer(forget=True)
    compose_id = watched.compose(compose_request())
    until(lambda: looked_at(module_database, compose_id), "the watcher has asked about it")
    composer.steer(forget=None)
    until(lambda: status_of(watched, compose_id)["image_status"]["status"] == "success", "the build has ended")


def test_metrics_tell_of_unfinished_builds_looks_and_the_watcher(
    watching: Service, watched: Client, composer: StandInComposer
) -> None:
    composer.steer(image_status=BUILDING)
    watched.compose(compose_request())
    seen = eventually(
        watching.url,
        lambda exposition: (
            exposition.value("builds_unfinished", age="up to 30 minutes") >= 1
            and exposition.value("status_looks_total", outcome="running") >= 1
        ),
    )
    assert seen.value("status_look_lag_seconds") >= 0
    assert time.time() - seen.value("statuses_watched_timestamp_seconds") < PATIENCE


def test_the_watcher_keeps_within_its_budget(database: Parameters, composer: StandInComposer) -> None:
    budget = {"STATUS_LOOKS_PER_SECOND": "4"}
    # The pods of other tests in this file look at builds of their own.
    builds = {str(insert_compose(database, uuid4().hex)) for _ in range(60)}
    composer.steer(image_status=BUILDING)
    began = time.monotonic()
    with Service(database, composer.url, environment=budget):

        def looks() -> int:
            return sum(call["path"].rpartition("/")[2] in builds for call in composer.behaviour()["recent"])

        until(lambda: looks() > 12, "the watcher looks")
        assert looks() <= 4 * (time.monotonic() - began) + 1


def test_a_look_that_fails_is_one_call_of_the_budget(database: Parameters, composer: StandInComposer) -> None:
    build = str(insert_compose(database, uuid4().hex))
    composer.steer(status_raw={"status": 503, "body": "{}"})
    with Service(database, composer.url, environment=WATCHING):

        def calls() -> int:
            return sum(call["path"].endswith(build) for call in composer.behaviour()["recent"])

        until(calls, "the watcher looks")
        # Calls that are sent again follow within half a second.
        time.sleep(1)
        assert calls() == 1, "the next look comes after the pause of the build's age"


def test_requests_are_not_slower_while_the_watcher_waits_for_a_composer_that_hangs(
    database: Parameters, composer: StandInComposer
) -> None:
    with Service(database, composer.url, environment=WATCHING) as service:
        client = service.client("000001")
        for _ in range(30):
            client.compose(compose_request())
        composer.steer(hang=True)
        with session(database) as connection:
            connection.execute("UPDATE compose_statuses SET next_look_at = now() AT TIME ZONE 'utc' WHERE NOT is_final")
        until(lambda: len(composer.behaviour()["recent"]) > 30, "the watcher waits for the composer")
        began = time.monotonic()
        for _ in range(20):
            assert client.get("/composes").status_code == 200
        assert time.monotonic() - began < SOON


@pytest.mark.parametrize("survivor", sampled(range(3), 2))
def test_another_pod_takes_over_when_the_watching_one_is_killed(
    database: Parameters, composer: StandInComposer, survivor: int
) -> None:
    composer.steer(image_status=BUILDING)
    # Each round has another survivor, so that the leader is among the killed ones in all rounds but one.
    with pods(3, database, composer.url, WATCHING) as running:
        client = running[survivor].client("000001")
        compose_id = client.compose(compose_request())
        until(lambda: listed_status(client, compose_id) == BUILDING, "a pod watches")
        # At any moment of a round of looks.
        time.sleep(random.Random(f"{SEED} {survivor}").uniform(0, 1))  # noqa: S311 - no secret
        for number, pod in enumerate(running):
            if number != survivor:
                pod.kill()
        composer.steer(image_status={"status": "success"})
        until(lambda: listed_status(client, compose_id) == {"status": "success"}, "another pod watches", TAKE_OVER)


def test_the_watch_of_an_old_build_goes_on_rarely(
    watched: Client, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    composer.steer(image_status=BUILDING)
    compose_id = watched.compose(compose_request())
    until(lambda: looked_at(module_database, compose_id), "the watcher has asked about it")
    with session(module_database) as connection:
        connection.execute(
            "UPDATE composes SET created_at = created_at - interval '3 hours' WHERE job_id = %s", (compose_id,)
        )
    make_due(module_database, compose_id)
    pause = "SELECT job_id, next_look_at - looked_at FROM compose_statuses WHERE next_look_at IS NOT NULL"
    expected = (UUID(compose_id), timedelta(minutes=5))
    until(lambda: expected in query(module_database, pause), "the watcher has asked again")
