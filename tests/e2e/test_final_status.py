"""The final status of a build is answered from the database, whatever the composer says later."""

from __future__ import annotations

import time
from typing import Any

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.composes import status_of, wait_for_end
from tests.support.refusals import refusal
from tests.support.service import Client
from tests.support.waiting import PATIENCE, SOON

AMI = {"status": "success", "type": "aws", "options": {"ami": "ami-1", "region": "us-east-1"}}
# Answers younger than this are shared.
SHARED_FOR = 2.1


@pytest.fixture
def built(client: Client, composer: StandInComposer) -> str:
    """A build that has ended, and whose status was requested once."""
    compose_id = client.compose(compose_request("aws", "aws"))
    composer.steer(image_status={"status": "success", "upload_status": AMI})
    assert status_of(client, compose_id)["image_status"]["status"] == "success"
    return compose_id


def test_the_composer_is_not_asked_again_about_an_ended_build(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    ended = wait_for_end(client, compose_id)
    assert ended["status"] == "success"
    time.sleep(SHARED_FOR)
    before = composer.counters()
    assert status_of(client, compose_id)["image_status"] == ended
    assert composer.counters() == before


def test_the_final_status_is_answered_if_the_composer_is_unavailable_or_has_lost_the_build(
    client: Client, composer: StandInComposer
) -> None:
    compose_id = client.compose(compose_request())
    ended = wait_for_end(client, compose_id)
    metadata = client.get(f"/composes/{compose_id}/metadata")
    assert metadata.status_code == 200
    time.sleep(SHARED_FOR)
    composer.steer(hang=True)
    began = time.monotonic()
    assert status_of(client, compose_id)["image_status"] == ended
    assert client.get(f"/composes/{compose_id}/metadata").json() == metadata.json()
    assert time.monotonic() - began < SOON


def test_metadata_requested_before_any_status_is_stored(client: Client, composer: StandInComposer) -> None:
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


def test_a_failure_is_stored_with_its_reason(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request(customizations={"packages": ["no-such-package"]}))
    failed = wait_for_end(client, compose_id)
    assert failed["status"] == "failure"
    time.sleep(SHARED_FOR)
    composer.steer(hang=True)
    assert status_of(client, compose_id)["image_status"] == failed
    assert failed["error"]["reason"]


def test_a_stored_final_status_is_not_answered_to_another_tenant(client: Client, service: Any, built: str) -> None:
    refusal(service.client("somebody else").get(f"/composes/{built}"), 404)


def test_concurrent_requests_for_one_status_share_one_call(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    before = sum(composer.counters().values())
    for _ in range(10):
        status_of(client, compose_id)
    assert sum(composer.counters().values()) - before <= 3
