"""Builds that are cancelled: before their end, against their end, and at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.composes import listed, status_of
from tests.support.databases import Parameters, query
from tests.support.pods import RECONCILING, quotas
from tests.support.refusals import refusal
from tests.support.rows import insert_compose
from tests.support.service import Client, Service
from tests.support.waiting import until

BUILDING = {"status": "building"}
INTENTS = "SELECT count(*) FROM compose_cancellations"


def cancel(client: Client, compose_id: object, **headers: str) -> requests.Response:
    return client.post(f"/composes/{compose_id}/cancel", headers=headers)


def cancelled(status: Any) -> bool:
    return status["status"] == "failure" and status["error"]["code"] == "cancelled"


def deleted(composer: StandInComposer) -> list[str]:
    found: list[str] = composer.behaviour()["deleted"]  # type: ignore[assignment]
    return found


def test_a_cancelled_build_has_failed_and_is_gone_from_the_composer(
    service: Service, composer: StandInComposer, tenant: str, module_database: Parameters
) -> None:
    client = service.client(tenant)
    compose_id = client.compose(compose_request())
    composer.steer(image_status=BUILDING)
    answer = cancel(client, compose_id)
    assert answer.status_code == 200, answer.text
    error = answer.json()["image_status"]["error"]
    assert (error["id"], error["reason"], error["code"]) == (0, "Cancelled", "cancelled")
    who_and_when = {name: answer.json()[name] for name in ("cancelled_by", "cancelled_at")}
    assert who_and_when == error["details"]
    assert who_and_when["cancelled_by"] == "u"
    assert who_and_when["cancelled_at"] <= answer.json()["finished_at"]
    assert deleted(composer) == [compose_id]
    assert status_of(client, compose_id) == answer.json()
    assert listed(client)["data"][0]["image_status"] == answer.json()["image_status"]
    assert query(module_database, INTENTS) == [(0,)]


def test_a_cancelled_build_counts_towards_the_quota(
    database: Parameters, composer: StandInComposer, tmp_path: Any
) -> None:
    with Service(database, composer.url, environment=quotas(tmp_path, 1)) as service:
        client = service.client("000001")
        composer.steer(image_status=BUILDING)
        compose_id = client.compose(compose_request())
        assert cancel(client, compose_id).status_code == 200
        refusal(client.post("/compose", compose_request()), 403)


@pytest.mark.parametrize("status", ["success", "failure"])
def test_a_build_that_has_ended_keeps_its_status(client: Client, composer: StandInComposer, status: str) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(image_status={"status": status})
    for _ in range(2):
        answer = cancel(client, compose_id)
        refusal(answer, 409)
        assert status in answer.text
    assert deleted(composer) == []
    assert status_of(client, compose_id)["image_status"]["status"] == status


def test_a_build_is_cancelled_once(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(image_status=BUILDING)
    assert cancel(client, compose_id).status_code == 200
    answer = cancel(client, compose_id)
    refusal(answer, 409)
    assert "it was cancelled" in answer.text


def test_a_repeated_cancellation_with_the_same_key_gets_the_same_answer(
    client: Client, composer: StandInComposer
) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(image_status=BUILDING)
    key = {"Idempotency-Key": "cancel-it"}
    first = cancel(client, compose_id, **key)
    again = cancel(client, compose_id, **key)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()


def test_cancellations_at_the_same_time_agree(
    client: Client, service: Service, tenant: str, composer: StandInComposer
) -> None:
    for _ in range(5):
        compose_id = client.compose(compose_request())
        composer.steer(image_status=BUILDING)
        with ThreadPoolExecutor(5) as threads:
            answers = list(threads.map(lambda _, each=compose_id: cancel(service.client(tenant), each), range(5)))
        assert {answer.status_code for answer in answers} <= {200, 409}
        assert 200 in {answer.status_code for answer in answers}
        assert cancelled(status_of(client, compose_id)["image_status"])
        composer.steer(image_status=None)


@pytest.mark.parametrize("compose_id", [uuid4(), "not-an-id"])
def test_an_unknown_build_cannot_be_cancelled(client: Client, compose_id: object) -> None:
    refusal(cancel(client, compose_id), 404 if compose_id != "not-an-id" else 400)


def test_the_build_of_another_tenant_cannot_be_cancelled(
    client: Client, service: Service, composer: StandInComposer
) -> None:
    compose_id = client.compose(compose_request())
    refusal(cancel(service.client("somebody else"), compose_id), 404)
    assert deleted(composer) == []


def test_a_build_that_the_composer_does_not_know_cannot_be_cancelled(
    client: Client, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    compose_id = insert_compose(module_database, tenant)
    refusal(cancel(client, compose_id), 404)


def test_a_cancellation_without_an_answer_is_completed_later(database: Parameters, composer: StandInComposer) -> None:
    with Service(database, composer.url, environment=RECONCILING) as service:
        client = service.client("000001")
        compose_id = client.compose(compose_request())
        composer.steer(image_status=BUILDING, delete_error={"status": 500, "id": "1000", "reason": "broken"})
        answer = cancel(client, compose_id)
        refusal(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
        assert "completed later" in answer.text
        assert status_of(client, compose_id)["image_status"]["status"] == "building"
        composer.steer(delete_error=None)
        until(lambda: cancelled(status_of(client, compose_id)["image_status"]), "the build is cancelled")
        assert deleted(composer) == [compose_id]
        until(lambda: query(database, INTENTS) == [(0,)], "no intent is left")


def test_a_composer_that_cannot_be_reached_leaves_the_build_alone(
    database: Parameters, composer: StandInComposer
) -> None:
    with Service(database, "http://127.0.0.1:1", environment=RECONCILING) as service:
        client = service.client("000001")
        compose_id = insert_compose(database, "000001")
        refusal(cancel(client, compose_id), 503)
        assert query(database, INTENTS) == [(0,)]
