"""How a build ended is answered from storage, whatever the composer has to say later."""

from __future__ import annotations

import time
from typing import Any

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.composes import status_of
from tests.support.refusals import refusal
from tests.support.service import Client
from tests.support.waiting import PATIENCE, SOON

AMI = {"status": "success", "type": "aws", "options": {"ami": "ami-1", "region": "us-east-1"}}
# Answers younger than this are shared.
SHARED_FOR = 2.1


@pytest.fixture
def built(client: Client, composer: StandInComposer) -> str:
    """A build that is done and has been asked for once."""
    compose_id = client.compose(compose_request("aws", "aws"))
    composer.steer(image_status={"status": "success", "upload_status": AMI})
    assert status_of(client, compose_id)["image_status"]["status"] == "success"
    return compose_id


def until_success(client: Client, compose_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while True:
        status: dict[str, Any] = status_of(client, compose_id)["image_status"]
        if status["status"] == "success" or time.monotonic() > deadline:
            return status
        time.sleep(0.2)


def test_a_build_that_ended_is_not_asked_for_again(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    ended = until_success(client, compose_id)
    assert ended["status"] == "success"
    time.sleep(SHARED_FOR)
    before = composer.counters()
    assert status_of(client, compose_id)["image_status"] == ended
    assert composer.counters() == before


def test_a_composer_that_is_down_or_forgets_hides_no_end(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    ended = until_success(client, compose_id)
    metadata = client.get(f"/composes/{compose_id}/metadata")
    assert metadata.status_code == 200
    time.sleep(SHARED_FOR)
    composer.steer(hang=True)
    began = time.monotonic()
    assert status_of(client, compose_id)["image_status"] == ended
    assert client.get(f"/composes/{compose_id}/metadata").json() == metadata.json()
    assert time.monotonic() - began < SOON


def test_metadata_that_was_asked_for_before_any_status_is_kept(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    deadline = time.monotonic() + PATIENCE
    while not (metadata := client.get(f"/composes/{compose_id}/metadata").json()).get("packages"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(SHARED_FOR)
    # A status that was shared may have been older than the metadata.
    assert client.get(f"/composes/{compose_id}/metadata").json() == metadata
    composer.steer(hang=True)
    assert client.get(f"/composes/{compose_id}/metadata").json() == metadata
    assert status_of(client, compose_id)["image_status"]["status"] == "success"


def test_a_failure_is_kept_with_its_reason(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request(customizations={"packages": ["no-such-package"]}))
    deadline = time.monotonic() + PATIENCE
    while (failed := status_of(client, compose_id)["image_status"])["status"] != "failure":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(SHARED_FOR)
    composer.steer(hang=True)
    assert status_of(client, compose_id)["image_status"] == failed
    assert failed["error"]["reason"]


def test_another_tenant_learns_nothing_of_a_kept_end(client: Client, service: Any, built: str) -> None:
    refusal(service.client("somebody else").get(f"/composes/{built}"), 404)


def test_a_status_that_is_asked_for_at_once_by_many_is_asked_for_once(
    client: Client, composer: StandInComposer
) -> None:
    compose_id = client.compose(compose_request())
    before = sum(composer.counters().values())
    for _ in range(10):
        status_of(client, compose_id)
    assert sum(composer.counters().values()) - before <= 3
