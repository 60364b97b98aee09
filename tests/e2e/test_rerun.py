"""Builds that are started again from their stored requests."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.at_once import at_once, statuses
from tests.support.builders import compose_request
from tests.support.composes import listed, status_of
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.rows import insert_compose
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE

WITH_USERS = {"users": [{"name": "alice", "password": "correct horse"}, {"name": "bob", "ssh_key": "ssh-rsa AAAA"}]}


def rerun(client: Client, compose_id: object, body: Any = None, **headers: str) -> requests.Response:
    return client.post(f"/composes/{compose_id}/rerun", body, headers=headers)


def request_at_composer(composer: StandInComposer, compose_id: str) -> dict[str, Any]:
    url = f"{composer.api_url}/composes/{compose_id}/metadata"
    document: dict[str, Any] = requests.get(url, timeout=PATIENCE).json()["request"]
    return document


def test_a_build_is_started_again_with_the_same_request(client: Client, composer: StandInComposer) -> None:
    first = client.compose(compose_request(image_name="mine", customizations={"packages": ["vim"]}))
    answer = rerun(client, first)
    assert answer.status_code == 201, answer.text
    second = answer.json()["id"]
    assert second != first
    before, after = status_of(client, first), status_of(client, second)
    assert after["rerun_of"] == first
    assert "rerun_of" not in before
    assert after["request"] == before["request"]
    assert request_at_composer(composer, second) == request_at_composer(composer, first)


def test_a_rerun_of_users_without_passwords_needs_none(client: Client, composer: StandInComposer) -> None:
    first = client.compose(compose_request(customizations={"users": [{"name": "bob", "ssh_key": "ssh-rsa AAAA"}]}))
    answer = rerun(client, first, {})
    assert answer.status_code == 201, answer.text


def test_missing_passwords_are_named(client: Client, composer: StandInComposer) -> None:
    first = client.compose(compose_request(customizations=WITH_USERS))
    for body in (None, {}, {"passwords": {}}):
        answer = rerun(client, first, body)
        refusal(answer, 400)
        assert "alice" in answer.text
        assert "bob" not in answer.text
    assert len(listed(client)["data"]) == 1


def test_given_passwords_are_used_and_not_stored(client: Client, composer: StandInComposer) -> None:
    first = client.compose(compose_request(customizations=WITH_USERS))
    answer = rerun(client, first, {"passwords": {"alice": "another horse"}})
    assert answer.status_code == 201, answer.text
    second = answer.json()["id"]
    users = request_at_composer(composer, second)["customizations"]["users"]
    assert users[0]["password"].startswith("$6$")
    stored = status_of(client, second)["request"]["customizations"]["users"]
    assert [user["hasPassword"] for user in stored] == [True, False]
    assert all("password" not in user for user in stored)


def test_a_password_of_an_unknown_user_is_refused(client: Client, composer: StandInComposer) -> None:
    first = client.compose(compose_request(customizations=WITH_USERS))
    answer = rerun(client, first, {"passwords": {"alice": "another horse", "eve": "no horse"}})
    refusal(answer, 400)
    assert "eve" in answer.text


@pytest.mark.parametrize(
    "body", [{"passwords": "text"}, {"passwords": {"alice": 1}}, {"passwords": {"alice": "x" * 5000}}, []]
)
def test_bad_bodies_are_refused(client: Client, composer: StandInComposer, body: Any) -> None:
    first = client.compose(compose_request(customizations=WITH_USERS))
    refusal(rerun(client, first, body), 400)


def test_a_build_of_a_blueprint_takes_passwords_from_its_version(client: Client, composer: StandInComposer) -> None:
    document = {
        "name": uuid4().hex,
        "description": "",
        "distribution": "centos-9",
        "image_requests": compose_request()["image_requests"],
        "customizations": WITH_USERS,
    }
    blueprint = client.post("/blueprints", document).json()["id"]
    (first,) = client.post(f"/blueprints/{blueprint}/compose", {}).json()
    changed = {**document, "customizations": {"users": [{"name": "alice", "password": "changed horse"}]}}
    assert client.request("PUT", f"/blueprints/{blueprint}", json=changed).status_code == 200
    answer = rerun(client, first["id"])
    assert answer.status_code == 201, answer.text
    second = answer.json()["id"]
    theirs = request_at_composer(composer, second)["customizations"]["users"]
    assert theirs == request_at_composer(composer, first["id"])["customizations"]["users"]
    found = status_of(client, second)
    assert (found["blueprint_id"], found["blueprint_version"]) == (blueprint, 1)
    assert len(client.get(f"/blueprints/{blueprint}/composes").json()["data"]) == 2


def test_a_request_that_is_not_valid_any_more_is_refused_with_the_reason(
    client: Client, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    old = insert_compose(module_database, tenant, {**compose_request(), "distribution": "rhel-1"})
    answer = rerun(client, old)
    refusal(answer, 400)
    assert "distribution" in answer.text
    odd = insert_compose(module_database, tenant, ["no object"])
    refusal(rerun(client, odd), 400)


def test_another_tenants_build_and_an_unknown_one_cannot_be_repeated(
    client: Client, service: Service, composer: StandInComposer
) -> None:
    first = client.compose(compose_request())
    refusal(rerun(service.client("somebody else"), first), 404)
    refusal(rerun(client, uuid4()), 404)


@pytest.mark.parametrize("pods", [1, 2])
def test_fifty_reruns_at_the_same_time_with_one_key_start_one_build(
    client: Client, service: Service, tenant: str, composer: StandInComposer, module_database: Parameters, pods: int
) -> None:
    first = client.compose(compose_request())
    composer.steer(post_latency=0.3)
    with Service(module_database, composer.url) as second:
        clients = [service.client(tenant), second.client(tenant)][:pods]
        key = {"Idempotency-Key": "again"}
        answers = at_once([partial(rerun, clients[number % pods], first, {}, **key) for number in range(50)])
        last = rerun(clients[-1], first, {}, **key)
    assert statuses(answers).keys() <= {201, 409}
    started = {answer.json()["id"] for answer in (*answers, last) if answer.status_code == 201}
    assert started == {last.json()["id"]}
    assert {item["id"] for item in listed(client)["data"]} == {first, *started}
    assert composer.counters()["POST /compose"] == 2
