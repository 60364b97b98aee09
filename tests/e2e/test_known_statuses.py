"""Statuses of builds that are known without asking the composer, while no watcher asks it."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.composes import listed, status_of
from tests.support.databases import Parameters, session
from tests.support.known_statuses import BUILDING, listed_status, make_due
from tests.support.refusals import refusal
from tests.support.rows import insert_blueprint_version
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE


def test_a_large_error_is_left_out_of_lists_only(service: Service, client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    error = {"id": 10, "reason": "osbuild failed", "details": "log " * 5000}
    composer.steer(image_status={"status": "failure", "error": error})
    assert status_of(client, compose_id)["image_status"]["error"]["details"] == error["details"]
    assert listed_status(client, compose_id) == {"status": "failure"}


def test_a_build_that_nobody_has_looked_at_has_no_status_in_a_list(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    before = composer.counters()
    assert listed_status(client, compose_id) is None
    assert composer.counters() == before, "a list asks the composer nothing"
    status = status_of(client, compose_id)["image_status"]
    assert listed_status(client, compose_id) == status, "a request counts as a look"


def test_the_builds_of_a_blueprint_have_statuses(
    client: Client, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    blueprint, version = insert_blueprint_version(module_database, tenant, 1)
    composer.steer(image_status=BUILDING)
    queued = client.compose(compose_request())
    with session(module_database) as connection:
        connection.execute("UPDATE composes SET blueprint_version_id = %s WHERE job_id = %s", (version, queued))
    found = status_of(client, queued)
    assert (found["blueprint_id"], found["blueprint_version"]) == (str(blueprint), 1)
    answer = client.get(f"/blueprints/{blueprint}/composes").json()
    assert [each["image_status"] for each in answer["data"]] == [BUILDING]


def test_one_answer_tells_all_of_a_build(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request(image_name="mine", client_id="api"))
    composer.steer(image_status={"status": "pending"})
    found = status_of(client, compose_id)
    (item,) = listed(client)["data"]
    assert (found["created_at"], found["image_name"], found["client_id"]) == (item["created_at"], "mine", "api")
    assert not {"started_at", "finished_at", "blueprint_id", "blueprint_version"} & found.keys()


def test_a_build_tells_when_it_started_and_finished(
    client: Client, composer: StandInComposer, module_database: Parameters
) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(image_status=BUILDING)
    started = status_of(client, compose_id)
    assert started["created_at"] <= started["started_at"]
    assert "finished_at" not in started
    composer.steer(image_status={"status": "success"})
    make_due(module_database, compose_id, seen_ago=60)
    finished = status_of(client, compose_id)
    assert finished["started_at"] == started["started_at"]
    assert finished["started_at"] <= finished["finished_at"]
    assert status_of(client, compose_id) == finished


def test_a_status_of_the_last_five_seconds_is_answered_without_the_composer(
    client: Client, composer: StandInComposer, module_database: Parameters
) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(image_status=BUILDING)
    assert status_of(client, compose_id)["image_status"] == BUILDING
    composer.steer(image_status={"status": "uploading"})
    asked = composer.counters()
    assert status_of(client, compose_id)["image_status"] == BUILDING
    assert composer.counters() == asked
    make_due(module_database, compose_id, seen_ago=6)
    assert status_of(client, compose_id)["image_status"] == {"status": "uploading"}


@pytest.mark.parametrize("trouble", [{"status_raw": {"status": 500}}, {"hang": True}], ids=["answers 500", "hangs"])
def test_while_the_composer_is_away_the_last_known_status_is_answered_with_its_age(
    database: Parameters, composer: StandInComposer, trouble: Any
) -> None:
    with Service(database, composer.url) as service:
        client = service.client("000001")
        compose_id = client.compose(compose_request())
        unknown = client.compose(compose_request())
        composer.steer(image_status=BUILDING)
        assert "Age" not in client.get(f"/composes/{compose_id}").headers
        composer.steer(**trouble)
        make_due(database, compose_id, seen_ago=100)
        answer = client.get(f"/composes/{compose_id}")
        assert answer.status_code == 200
        assert answer.json()["image_status"] == BUILDING
        assert 100 <= int(answer.headers["Age"]) < 100 + PATIENCE
        refusal(client.get(f"/composes/{unknown}"), 503)


def test_a_final_status_that_was_stored_meanwhile_is_not_taken_back(
    client: Client, composer: StandInComposer, module_database: Parameters
) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(image_status=BUILDING, latency=1.0)
    with session(module_database) as connection:
        connection.execute(
            "CREATE FUNCTION finish() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            'INSERT INTO compose_results VALUES (NEW.job_id, \'{"status": "failure"}\'); NEW.is_final := true; '
            "RETURN NEW; END $$; "
            "CREATE TRIGGER finish BEFORE INSERT ON compose_statuses FOR EACH ROW EXECUTE FUNCTION finish()"
        )
    try:
        status_of(client, compose_id)
    finally:
        with session(module_database) as connection:
            connection.execute("DROP TRIGGER finish ON compose_statuses; DROP FUNCTION finish()")
    assert status_of(client, compose_id)["image_status"] == {"status": "failure"}
