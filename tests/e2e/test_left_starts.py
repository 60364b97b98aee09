"""Starts without an answer of the composer are reconciled with the builds of the composer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import blueprint, kept
from tests.support.builders import compose_request
from tests.support.composes import listed
from tests.support.databases import Parameters
from tests.support.pods import LEASE, RECONCILING
from tests.support.refusals import refusal
from tests.support.rows import counts
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE

LOST = compose_request(image_name="lost", labels={"team": "web"})


@pytest.fixture
def service(module_database: Parameters, composer: StandInComposer) -> Iterator[Service]:
    """A service that reconciles within seconds, with closed circuit breakers."""
    with Service(module_database, composer.url, environment=RECONCILING) as running:
        yield running


def in_time(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def unanswered(client: Client, composer: StandInComposer, drop: str, key: str | None = None) -> None:
    """Request a build whose connection the composer drops `before` or `after` it has accepted the build."""
    composer.steer(post_drop=drop)
    refusal(client.post("/compose", LOST, headers=keyed(key)), 503)
    composer.steer(post_drop=None)


def keyed(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Idempotency-Key": key}


def ids_at(composer: StandInComposer) -> list[str]:
    return [item["id"] for item in requests.get(f"{composer.api_url}/composes/", timeout=PATIENCE).json()["items"]]


def test_a_build_whose_answer_was_lost_is_adopted_and_listed(
    client: Client, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    unanswered(client, composer, "after")
    assert counts(module_database, tenant) == (0, 1)
    in_time(lambda: counts(module_database, tenant) == (1, 0))
    (item,) = listed(client)["data"]
    assert [item["id"]] == ids_at(composer)
    assert item["image_name"] == "lost"
    assert item["client_id"] == "api"
    assert item["labels"] == {"team": "web"}
    assert listed(client, "?label=team:web")["meta"]["count"] == 1
    assert client.get(f"/composes/{item['id']}").status_code == 200


def test_a_start_that_never_reached_the_composer_is_released(
    client: Client, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    unanswered(client, composer, "before")
    assert counts(module_database, tenant) == (0, 1)
    in_time(lambda: counts(module_database, tenant) == (0, 0))
    assert listed(client)["meta"]["count"] == 0


def test_of_two_equal_starts_with_one_build_one_is_adopted(
    client: Client, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    unanswered(client, composer, "after")
    unanswered(client, composer, "before")
    in_time(lambda: counts(module_database, tenant) == (1, 0))


def test_starts_wait_for_an_unavailable_composer(
    client: Client, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    unanswered(client, composer, "after")
    composer.steer(hang=True)
    time.sleep(2.5 * LEASE)  # no event tells that the reconciler left the start alone, so it gets time to act
    assert counts(module_database, tenant) == (0, 1)
    composer.steer(hang=False)
    in_time(lambda: counts(module_database, tenant) == (1, 0))


def test_builds_of_other_programs_are_neither_adopted_nor_cancelled(
    client: Client, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    unanswered(client, composer, "before")
    order = {
        "distribution": "centos-9",
        "image_request": {
            "architecture": "x86_64",
            "image_type": "aws",
            "repositories": [],
            "upload_options": {"region": "us-east-1", "share_with_accounts": ["1"]},
        },
    }
    taken = requests.post(f"{composer.api_url}/compose", json=order, timeout=PATIENCE)
    assert taken.status_code == 201, taken.text
    in_time(lambda: counts(module_database, tenant) == (0, 0))
    assert ids_at(composer) == [taken.json()["id"]]
    assert composer.counters().get("DELETE /composes/{id}", 0) == 0


def test_an_adopted_build_of_a_deleted_blueprint_is_hidden(
    client: Client, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = kept(client, blueprint("gone"))
    composer.steer(post_drop="after")
    refusal(client.post(f"/blueprints/{blueprint_id}/compose"), 503)
    composer.steer(post_drop=None)
    assert client.delete(f"/blueprints/{blueprint_id}").status_code == 204
    in_time(lambda: counts(module_database, tenant) == (1, 0))
    assert listed(client)["data"] == []


def test_an_idempotency_key_with_an_unknown_outcome_is_answered_when_the_build_is_found(
    client: Client, composer: StandInComposer, tenant: str
) -> None:
    key = uuid4().hex
    unanswered(client, composer, "after", key)
    body, headers = LOST, keyed(key)
    answer = client.post("/compose", body, headers=headers)
    refusal(answer, 409)
    assert int(answer.headers["Retry-After"]) > 0
    in_time(lambda: client.post("/compose", body, headers=headers).status_code != 409)
    answer = client.post("/compose", body, headers=headers)
    assert (answer.status_code, [answer.json()["id"]]) == (201, ids_at(composer))
    assert composer.counters()["POST /compose"] == 1


def test_an_idempotency_key_is_free_after_its_reservation_was_released(
    client: Client, composer: StandInComposer, tenant: str
) -> None:
    key = uuid4().hex
    unanswered(client, composer, "before", key)
    body, headers = LOST, keyed(key)
    refusal(client.post("/compose", body, headers=headers), 409)
    in_time(lambda: client.post("/compose", body, headers=headers).status_code == 201)
    assert composer.counters()["POST /compose"] == 2


def test_four_pods_adopt_a_build_once(
    module_database: Parameters, composer: StandInComposer, tenant: str, tmp_path: Path
) -> None:
    pods = [
        Service(module_database, composer.url, environment=RECONCILING, log=tmp_path / str(number)).start()
        for number in range(3)
    ]
    try:
        unanswered(pods[0].client(tenant), composer, "after")
        in_time(lambda: counts(module_database, tenant) == (1, 0))
        time.sleep(0.5)
        assert counts(module_database, tenant) == (1, 0)
    finally:
        for pod in pods:
            pod.stop()
