"""Concurrent changes of blueprints, over several processes with few database connections."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.at_once import Call, at_once, patient, statuses
from tests.support.blueprints import (
    NOT_UNIQUE,
    blueprint,
    bodies,
    composes_of,
    kept,
    listed,
    put,
    read,
    stored_blueprint,
    stored_versions,
    violations,
    with_users,
)
from tests.support.builders import image_request
from tests.support.composes import listed as listed_composes
from tests.support.databases import Parameters, session
from tests.support.refusals import refusal
from tests.support.rows import counts
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE

ROUNDS = 12
FEW = {"DB_POOL_SIZE": "4"}
TWO = blueprint("web", image_request(), image_request("aws", "aws"))
WINDOW = 14 * 24 * 3600 * 10**9


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two processes"])
def service(
    request: pytest.FixtureRequest, module_database: Parameters, composer_process: StandInComposer
) -> Iterator[Service]:
    with Service(module_database, composer_process.url, environment=FEW, workers=request.param) as running:
        yield running


def clients(service: Service, tenant: str, number: int) -> list[Client]:
    """This number of clients of one organization, each with a separate connection."""
    return [service.client(tenant) for _ in range(number)]


def answers_to(calls: Sequence[Call]) -> list[requests.Response]:
    """The answers to concurrent calls, some of which a busy machine may have to make again."""
    return at_once([patient(call) for call in calls])


def test_32_blueprints_are_created_concurrently(service: Service, composer: StandInComposer, tenant: str) -> None:
    documents = [with_users(f"web {number}", {"name": "u", "password": "p"}) for number in range(32)]
    answers = answers_to(
        [
            partial(client.post, "/blueprints", document)
            for client, document in zip(clients(service, tenant, 32), documents, strict=True)
        ]
    )
    assert statuses(answers) == {201: 32}
    found = listed(service.client(tenant))
    assert found["meta"]["count"] == 32
    assert {item["name"] for item in found["data"]} == {document["name"] for document in documents}


def test_of_16_concurrent_blueprints_with_one_name_one_is_created(
    service: Service, composer: StandInComposer, tenant: str
) -> None:
    answers = answers_to([partial(client.post, "/blueprints", blueprint()) for client in clients(service, tenant, 16)])
    assert statuses(answers) == {201: 1, 422: 15}
    assert all(violations(answer) == [NOT_UNIQUE] for answer in answers if answer.status_code == 422)
    assert listed(service.client(tenant))["meta"]["count"] == 1


def test_of_16_concurrent_renames_to_one_name_one_succeeds(
    service: Service, composer: StandInComposer, tenant: str
) -> None:
    ids = [kept(service.client(tenant), name=str(number)) for number in range(16)]
    answers = answers_to(
        [
            partial(put, client, blueprint_id, blueprint("the one"))
            for client, blueprint_id in zip(clients(service, tenant, 16), ids, strict=True)
        ]
    )
    assert statuses(answers) == {200: 1, 422: 15}
    found = {item["id"]: (item["name"], item["version"]) for item in listed(service.client(tenant))["data"]}
    for number, (blueprint_id, answer) in enumerate(zip(ids, answers, strict=True)):
        assert found[blueprint_id] == (("the one", 2) if answer.status_code == 200 else (str(number), 1))


def test_16_concurrent_changes_create_16_versions(
    service: Service, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = kept(service.client(tenant))
    documents = [
        blueprint("web" if number % 2 else f"web {number}", customizations={"packages": [f"p{number}"]})
        for number in range(16)
    ]
    answers = answers_to(
        [
            partial(put, client, blueprint_id, document)
            for client, document in zip(clients(service, tenant, 16), documents, strict=True)
        ]
    )
    assert statuses(answers) == {200: 16}
    assert len({answer.headers["ETag"] for answer in answers}) == 16
    versions = stored_versions(module_database, blueprint_id)
    assert [number for number, _, _ in versions] == list(range(1, 18))
    kept_packages = [body["customizations"]["packages"] for number, body, _ in versions if number > 1]
    assert sorted(kept_packages) == sorted(document["customizations"]["packages"] for document in documents)
    # What is read is the whole of the last change, never the name of one and the body of another.
    (package,) = read(service.client(tenant), blueprint_id)["customizations"]["packages"]
    assert stored_blueprint(module_database, blueprint_id)["name"] == documents[int(package[1:])]["name"]


def test_of_16_concurrent_changes_of_one_version_one_succeeds(
    service: Service, composer: StandInComposer, tenant: str
) -> None:
    blueprint_id = kept(service.client(tenant))
    answers = answers_to(
        [
            partial(put, client, blueprint_id, blueprint(f"web {number}"), '"1"')
            for number, client in enumerate(clients(service, tenant, 16))
        ]
    )
    assert statuses(answers) == {200: 1, 412: 15}
    (item,) = listed(service.client(tenant))["data"]
    made = [answer.status_code for answer in answers].index(200)
    assert (item["name"], item["version"]) == (f"web {made}", 2)


def test_a_password_survives_concurrent_changes_that_omit_it(
    service: Service, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    crypt = "$6$salt$hash"
    blueprint_id = kept(service.client(tenant), with_users("web", {"name": "u", "password": crypt}))
    document = with_users("web", {"name": "u"})
    answers = answers_to([partial(put, client, blueprint_id, document) for client in clients(service, tenant, 8)])
    assert statuses(answers) == {200: 8}
    stored = [body["customizations"]["users"] for body in bodies(module_database, blueprint_id)]
    assert stored == [[{"name": "u", "password": crypt}]] * 9


def test_of_several_concurrent_deletions_one_succeeds(service: Service, composer: StandInComposer, tenant: str) -> None:
    blueprint_id = kept(service.client(tenant))
    answers = answers_to(
        [partial(client.delete, f"/blueprints/{blueprint_id}") for client in clients(service, tenant, 8)]
    )
    assert statuses(answers) == {204: 1, 404: 7}


def visible_composes_of_deleted(database: Parameters, tenant: str) -> int:
    with session(database) as connection:
        row = connection.execute(
            """
            SELECT count(*) FROM composes
            JOIN blueprint_versions ON blueprint_versions.id = composes.blueprint_version_id
            JOIN blueprints ON blueprints.id = blueprint_versions.blueprint_id
            WHERE composes.org_id = %s AND blueprints.deleted AND NOT composes.deleted
            """,
            (tenant,),
        ).fetchone()
    assert row is not None
    found: int = row[0]
    return found


def test_a_deletion_during_a_build_hides_all_composes_or_none(
    service: Service, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    client, started, met = service.client(tenant), 0, set()
    for number in range(ROUNDS):
        # The deletion meets the building at another moment each time.
        composer.steer(post_latency=0.004 * number)
        blueprint_id = kept(client, TWO)
        callers = clients(service, tenant, 4)
        composed = [partial(each.post, f"/blueprints/{blueprint_id}/compose") for each in callers[:3]]
        *builds, deletion = answers_to([*composed, partial(callers[3].delete, f"/blueprints/{blueprint_id}")])
        assert deletion.status_code == 204
        assert set(statuses(builds)) <= {201, 404}
        met |= set(statuses(builds))
        for build in builds:
            for compose in build.json() if build.status_code == 201 else ():
                started += 1
                refusal(client.get(f"/composes/{compose['id']}"), 404)
        refusal(client.get(f"/blueprints/{blueprint_id}/composes"), 404)
    assert visible_composes_of_deleted(module_database, tenant) == 0
    assert listed_composes(client)["meta"]["count"] == 0
    assert counts(module_database, tenant) == (started, 0)
    assert 201 in met, "nothing was ever built: this has shown nothing"


def test_a_deletion_before_the_answer_of_the_composer_hides_the_build(
    service: Service, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    client, other = clients(service, tenant, 2)
    composer.steer(post_latency=1.0)
    blueprint_id = kept(client, TWO)

    def delete_meanwhile() -> Any:
        deadline = time.monotonic() + PATIENCE
        while composer.counters().get("POST /compose", 0) < 2:
            assert time.monotonic() < deadline, "the composer is not asked"
        return other.delete(f"/blueprints/{blueprint_id}")

    build, deletion = answers_to([partial(client.post, f"/blueprints/{blueprint_id}/compose"), delete_meanwhile])
    assert (build.status_code, deletion.status_code) == (201, 204)
    for compose in build.json():
        refusal(client.get(f"/composes/{compose['id']}"), 404)
    assert counts(module_database, tenant) == (2, 0), "hidden, and still counted"


def test_a_change_during_a_deletion_leaves_the_blueprint_completely_deleted(
    service: Service, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    client = service.client(tenant)
    for _ in range(ROUNDS):
        blueprint_id = kept(client)
        callers = clients(service, tenant, 5)
        changes = [partial(put, each, blueprint_id, blueprint("renamed")) for each in callers[:4]]
        *changed, deletion = answers_to([*changes, partial(callers[4].delete, f"/blueprints/{blueprint_id}")])
        assert deletion.status_code == 204
        assert set(statuses(changed)) <= {200, 404}
        row = stored_blueprint(module_database, blueprint_id)
        assert (row["deleted"], row["name"]) == (True, blueprint_id)
        made = statuses(changed).get(200, 0)
        numbers = [number for number, _, _ in stored_versions(module_database, blueprint_id)]
        assert numbers == list(range(1, made + 2)), "what was answered 200 is there, and nothing else"
        refusal(client.get(f"/blueprints/{blueprint_id}"), 404)
        # Both names are free.
        for name in ("web", "renamed"):
            assert client.delete(f"/blueprints/{kept(client, name=name)}").status_code == 204


def test_creating_during_a_deletion_leaves_one_blueprint_of_the_name(
    service: Service, composer: StandInComposer, tenant: str
) -> None:
    client = service.client(tenant)
    blueprint_id = kept(client)
    for _ in range(ROUNDS):
        one, two = clients(service, tenant, 2)
        creation, deletion = answers_to(
            [partial(one.post, "/blueprints", blueprint()), partial(two.delete, f"/blueprints/{blueprint_id}")]
        )
        assert deletion.status_code == 204
        assert creation.status_code in {201, 422}
        assert listed(client)["meta"]["count"] == (creation.status_code == 201)
        blueprint_id = creation.json()["id"] if creation.status_code == 201 else kept(client)


def test_each_build_during_changes_refers_to_the_version_that_was_built(
    service: Service, composer: StandInComposer, tenant: str
) -> None:
    client = service.client(tenant)
    blueprint_id = kept(client, customizations={"packages": ["v1"]})
    for number in range(2, 8):
        one, two = clients(service, tenant, 2)
        document = blueprint(customizations={"packages": [f"v{number}"]})
        answers = answers_to(
            [
                partial(one.post, f"/blueprints/{blueprint_id}/compose"),
                partial(put, two, blueprint_id, document),
            ]
        )
        assert [answer.status_code for answer in answers] == [201, 200]
    builds = composes_of(client, blueprint_id)["data"]
    assert len(builds) == 6
    for build in builds:
        assert build["request"]["customizations"]["packages"] == [f"v{build['blueprint_version']}"]


def test_concurrent_builds_of_blueprints_get_quota_for_all_images_or_none(
    database: Parameters, composer: StandInComposer, tmp_path: Path, tenant: str
) -> None:
    quotas = tmp_path / "quotas.json"
    quotas.write_text(json.dumps({"default": {"quota": 7, "slidingWindow": WINDOW}}))
    environment = {**FEW, "QUOTA_FILE": str(quotas)}
    with Service(database, composer.url, environment=environment, workers=2) as running:
        blueprint_id = kept(running.client(tenant), TWO)
        answers = answers_to(
            [partial(each.post, f"/blueprints/{blueprint_id}/compose") for each in clients(running, tenant, 16)]
        )
    assert statuses(answers) == {201: 3, 403: 13}
    assert counts(database, tenant) == (6, 0)
