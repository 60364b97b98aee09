"""Logs and bills of materials of builds, against the running service."""

from __future__ import annotations

from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from domain.masking import MASK
from tests.support.builders import compose_request
from tests.support.composes import wait_for_end
from tests.support.databases import Parameters, query
from tests.support.refusals import refusal
from tests.support.service import Client, Service

JSON = {"Accept": "application/json"}
KEY = "activation-key-of-the-test"
REQUEST = compose_request(
    customizations={
        "packages": ["nginx"],
        "users": [{"name": "alice", "password": "hunter2-of-the-test", "ssh_key": "k"}],
        "subscription": {
            "organization": 1,
            "activation-key": KEY,
            "server-url": "subscription.example",
            "base-url": "http://cdn.example/",
            "insights": False,
        },
    }
)


def finished(client: Client) -> str:
    compose_id: str = client.compose(REQUEST)
    assert wait_for_end(client, compose_id)["status"] == "success"
    return compose_id


def test_logs_are_for_reading_by_default_and_json_on_request(client: Client) -> None:
    compose_id = finished(client)
    answer = client.get(f"/composes/{compose_id}/logs")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["vary"] == "Accept"
    assert "pipeline os, stage org.osbuild.rpm" in answer.text
    assert "nginx" in answer.text
    as_json = client.get(f"/composes/{compose_id}/logs", headers=JSON)
    assert as_json.headers["content-type"] == "application/json"
    assert as_json.json()["image_builds"][0]["osbuild_output"]["log"]["os"][0]["type"] == "org.osbuild.rpm"
    for text in (answer.text, as_json.text):
        assert MASK in text
        assert KEY not in text
        assert "$6$" not in text
        assert "hunter2" not in text


def test_the_failed_stage_is_the_last_part_of_the_logs(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(image_status={"status": "failure", "error": {"id": 10, "reason": "osbuild build failed"}})
    text = client.get(f"/composes/{compose_id}/logs").text
    assert "conflicting specifications" in text[text.index("FAILED: pipeline os") :]
    assert "osbuild build failed" in text


def test_bills_of_materials_are_answered_by_purpose_and_kept(
    client: Client, composer: StandInComposer, module_database: Parameters
) -> None:
    compose_id = finished(client)
    answer = client.get(f"/composes/{compose_id}/sboms")
    assert answer.status_code == 200, answer.text
    (bill,) = answer.json()["data"]
    assert (bill["purpose"], bill["media_type"]) == ("image", "application/spdx+json")
    assert "nginx" in [package["name"] for package in bill["document"]["packages"]]
    composer.steer(forget=True)
    assert client.get(f"/composes/{compose_id}/sboms").json() == {"data": [bill]}
    (buildroot,) = client.get(f"/composes/{compose_id}/sboms?purpose=buildroot").json()["data"]
    assert buildroot["pipeline"] == "build"
    stored = "SELECT count(*) FROM compose_sboms WHERE job_id = %s"
    assert query(module_database, stored, compose_id) == [(2,)]
    refusal(client.get(f"/composes/{compose_id}/logs"), 404)


def test_a_build_that_runs_has_neither_yet(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(image_status={"status": "building"})
    assert client.get(f"/composes/{compose_id}/logs").text == "The build has no logs yet.\n"
    assert client.get(f"/composes/{compose_id}/logs", headers=JSON).json() == {"image_builds": []}
    assert client.get(f"/composes/{compose_id}/sboms").json() == {"data": []}


@pytest.mark.parametrize("kind", ["logs", "sboms"])
def test_builds_of_others_and_unknown_builds_have_none(client: Client, service: Service, kind: str) -> None:
    compose_id = client.compose(compose_request())
    refusal(service.client(uuid4().hex).get(f"/composes/{compose_id}/{kind}"), 404)
    refusal(client.get(f"/composes/{uuid4()}/{kind}"), 404)
    refusal(client.get(f"/composes/not-an-id/{kind}"), 400)


def test_another_purpose_is_refused(client: Client) -> None:
    refusal(client.get(f"/composes/{uuid4()}/sboms?purpose=all"), 400)
