"""A request that is repeated with the same Idempotency-Key creates nothing new."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.at_once import at_once, statuses
from tests.support.blueprints import blueprint, kept
from tests.support.builders import compose_request, image_request
from tests.support.databases import Parameters, session
from tests.support.part_way import PartWayComposer, refusal_of
from tests.support.refusals import refusal
from tests.support.rows import counts
from tests.support.service import Client, Service

TITLE = "Idempotency-Key already used"


def keyed(client: Client, path: str, body: Any, key: str, **headers: str) -> requests.Response:
    return client.post(path, body, headers={"Idempotency-Key": key, **headers})


def built(composer: StandInComposer) -> int:
    return composer.counters().get("POST /compose", 0)


@pytest.fixture
def key() -> str:
    return uuid4().hex


@pytest.fixture(scope="module")
def second_service(module_database: Parameters, composer_process: StandInComposer) -> Iterator[Service]:
    with Service(module_database, composer_process.url) as running:
        yield running


def test_a_repeated_request_answers_with_the_first_build(client: Client, composer: StandInComposer, key: str) -> None:
    first = keyed(client, "/compose", compose_request(), key)
    again = keyed(client, "/compose", compose_request(), key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert built(composer) == 1


def test_each_pod_honours_the_keys_of_other_pods(
    client: Client, second_service: Service, composer: StandInComposer, tenant: str, key: str
) -> None:
    first = keyed(client, "/compose", compose_request(), key)
    again = keyed(second_service.client(tenant), "/compose", compose_request(), key)
    assert again.json() == first.json()
    assert built(composer) == 1


def test_a_key_applies_to_the_same_path_below_all_bases(client: Client, composer: StandInComposer, key: str) -> None:
    headers = {"Idempotency-Key": key}
    bases = ("/api/image-builder/v1", "/api/image-builder/v1.0", "/api/v1/image-builder")
    answers = [client.post("/compose", compose_request(), base, headers=headers).json() for base in bases]
    assert answers == [answers[0]] * 3
    assert built(composer) == 1


def test_the_order_of_keys_and_white_space_in_a_body_do_not_matter(
    client: Client, composer: StandInComposer, key: str
) -> None:
    first = keyed(client, "/compose", compose_request(), key)
    turned = json.dumps(dict(reversed(compose_request().items())), indent=4)
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    again = client.request("POST", "/compose", data=turned, headers=headers)
    assert again.json() == first.json()
    assert built(composer) == 1


def test_fifty_concurrent_requests_over_two_pods_start_one_build(
    client: Client,
    second_service: Service,
    composer: StandInComposer,
    module_database: Parameters,
    tenant: str,
    key: str,
) -> None:
    composer.steer(post_latency=0.3)
    pods = [client, second_service.client(tenant)]
    answers = at_once([partial(keyed, pods[each % 2], "/compose", compose_request(), key) for each in range(50)])
    assert statuses(answers).keys() <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers if answer.status_code == 409)
    assert (built(composer), counts(module_database, tenant)) == (1, (1, 0))


def test_a_key_with_another_body_is_refused(client: Client, composer: StandInComposer, key: str) -> None:
    keyed(client, "/compose", compose_request(), key)
    answer = keyed(client, "/compose", compose_request(image_name="another"), key)
    assert answer.status_code == 422
    assert [error["title"] for error in answer.json()["errors"]] == [TITLE]
    assert built(composer) == 1


def test_keys_are_separate_for_each_tenant(
    service: Service, client: Client, composer: StandInComposer, key: str
) -> None:
    first = keyed(client, "/compose", compose_request(), key)
    other = keyed(service.client(uuid4().hex), "/compose", compose_request(), key)
    assert other.json() != first.json()
    assert built(composer) == 2


def test_keys_are_separate_for_each_path(client: Client, composer: StandInComposer, key: str) -> None:
    one, another = kept(client, blueprint("one")), kept(client, blueprint("another"))
    answers = [keyed(client, f"/blueprints/{each}/compose", {}, key) for each in (one, another)]
    assert statuses(answers) == {201: 2}
    assert built(composer) == 2


def test_a_request_without_a_key_is_carried_out_each_time(client: Client, composer: StandInComposer) -> None:
    assert client.compose(compose_request()) != client.compose(compose_request())
    assert built(composer) == 2


def test_a_key_expires_after_a_day(
    client: Client, composer: StandInComposer, module_database: Parameters, tenant: str, key: str
) -> None:
    first = keyed(client, "/compose", compose_request(), key)
    with session(module_database) as connection:
        connection.execute(
            "UPDATE idempotency_keys SET created_at = created_at - %s WHERE org_id = %s",
            (timedelta(hours=24, seconds=1), tenant),
        )
    again = keyed(client, "/compose", compose_request(image_name="another"), key)
    assert again.status_code == 201
    assert again.json() != first.json()


def test_a_refused_request_leaves_its_key_free(client: Client, composer: StandInComposer, key: str) -> None:
    refusal(keyed(client, "/compose", compose_request(distribution="nothing"), key), 400)
    assert keyed(client, "/compose", compose_request(), key).status_code == 201


def test_a_build_that_the_composer_refuses_leaves_its_key_free(
    client: Client, composer: StandInComposer, key: str
) -> None:
    composer.steer(post_error={"status": 400, "id": "24", "reason": "no"})
    refusal(keyed(client, "/compose", compose_request(), key), 400)
    composer.steer(post_error=None)
    assert keyed(client, "/compose", compose_request(), key).status_code == 201


def test_a_repeated_request_creates_a_blueprint_once(client: Client, key: str) -> None:
    first = keyed(client, "/blueprints", blueprint("web"), key)
    again = keyed(client, "/blueprints", blueprint("web"), key)
    assert (again.status_code, again.json(), again.headers["ETag"]) == (201, first.json(), first.headers["ETag"])
    assert client.get("/blueprints").json()["meta"]["count"] == 1


def test_four_concurrent_requests_with_one_key_create_one_blueprint(client: Client, key: str) -> None:
    answers = at_once([partial(keyed, client, "/blueprints", blueprint("web"), key)] * 4)
    assert statuses(answers).keys() <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1


def test_a_refused_blueprint_name_leaves_its_key_free(client: Client, key: str) -> None:
    kept(client, blueprint("web"))
    assert keyed(client, "/blueprints", blueprint("web"), key).json()["errors"][0]["title"] == "Name not unique"
    assert keyed(client, "/blueprints", blueprint("another"), key).status_code == 201


def test_the_builds_of_a_blueprint_are_started_once(client: Client, composer: StandInComposer, key: str) -> None:
    blueprint_id = kept(client, blueprint("web", image_request(), image_request("aws", "aws")))
    first = keyed(client, f"/blueprints/{blueprint_id}/compose", None, key)
    again = keyed(client, f"/blueprints/{blueprint_id}/compose", {}, key)
    assert first.status_code == 201
    assert again.json() == first.json()
    assert len(first.json()) == 2
    assert built(composer) == 2


def test_a_repeated_request_for_no_image_starts_no_build(client: Client, composer: StandInComposer, key: str) -> None:
    path = f"/blueprints/{kept(client, blueprint('web'))}/compose"
    answers = [keyed(client, path, {"image_types": ["wsl"]}, key) for _ in range(2)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(201, []), (201, [])]


def test_a_partly_failed_start_is_answered_again_and_not_repeated(
    module_database: Parameters, tenant: str, key: str
) -> None:
    with PartWayComposer() as composer, Service(module_database, composer.url) as service:
        client = service.client(tenant)
        blueprint_id = kept(client, blueprint("web", image_request(), image_request("aws", "aws")))
        composer.instead["aws"] = refusal_of("24", "no such thing")
        first = keyed(client, f"/blueprints/{blueprint_id}/compose", None, key)
        composer.instead.clear()
        again = keyed(client, f"/blueprints/{blueprint_id}/compose", None, key)
        assert "started before" in refusal(first, 400)
        assert (again.status_code, again.json()) == (400, first.json())
        assert counts(module_database, tenant) == (1, 0)


@pytest.mark.parametrize("key", ["", "k" * 256, "two words", "ключ".encode().decode("latin-1")])
def test_an_invalid_key_is_refused(client: Client, composer: StandInComposer, key: str) -> None:
    assert "Idempotency-Key" in refusal(keyed(client, "/compose", compose_request(), key), 400)
    assert built(composer) == 0


def test_passwords_cannot_be_guessed_from_the_stored_fingerprint_of_a_body(
    client: Client, module_database: Parameters, tenant: str, key: str
) -> None:
    request = compose_request(customizations={"users": [{"name": "u", "password": "correct horse"}]})
    keyed(client, "/compose", request, key)
    with session(module_database) as connection:
        row = connection.execute("SELECT t::text FROM idempotency_keys t WHERE org_id = %s", (tenant,)).fetchone()
    assert row is not None
    assert "correct horse" not in row[0]
    assert b"correct horse".hex() not in row[0]
