"""Two versions of the service run side by side on one database, and the older one again (roll-out, roll-back)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from adapters.postgres.migrate import migrate
from tests.support import databases
from tests.support.at_once import at_once, patient, statuses
from tests.support.blueprints import blueprint
from tests.support.builders import compose_request
from tests.support.composes import listed
from tests.support.databases import Parameters
from tests.support.previous import Previous, before_the_latest_migrations, checked_out, revision
from tests.support.rows import counts
from tests.support.service import Client, Service

QUOTA = 7
COMMITS = {"the commit before": revision("HEAD~1"), "before the latest migrations": before_the_latest_migrations()}


@dataclass(frozen=True, slots=True)
class RollOver:
    """The older and the newer version, and the answers of the older one while the newer one migrated."""

    older: Previous
    newer: Service
    database: Parameters
    meanwhile: list[requests.Response]


@pytest.fixture(scope="module", params=sorted(COMMITS))
def versions(
    request: pytest.FixtureRequest,
    postgres: Parameters,
    composer_process: StandInComposer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RollOver]:
    commit = COMMITS[request.param]
    if commit is None:
        pytest.skip("the history of the project is not there: a shallow clone, or none")
    folder = tmp_path_factory.mktemp("versions")
    quotas = folder / "quotas.json"
    limits = {"limited": QUOTA, "default": 10_000}
    quotas.write_text(
        json.dumps({tenant: {"quota": limit, "slidingWindow": 3600 * 10**9} for tenant, limit in limits.items()})
    )
    environment = {"QUOTA_FILE": str(quotas)}
    tree = checked_out(commit, folder / "older")
    composer_process.reset()
    with databases.database(postgres) as database:
        older = Previous(tree, database, composer_process.url, environment)
        older.migrate()
        with older:
            with asking(older.client("meanwhile")) as meanwhile:
                migrate(database)
                newer = Service(database, composer_process.url, environment=environment).start()
            try:
                yield RollOver(older, newer, database, meanwhile)
            finally:
                newer.stop()


@contextmanager
def asking(client: Client) -> Iterator[list[requests.Response]]:
    """The client sends requests during the context; yields their answers."""
    answers: list[requests.Response] = []
    enough = threading.Event()

    def ask() -> None:
        while not enough.is_set():
            answers.append(client.post("/compose", compose_request()))
            answers.append(client.post("/blueprints", blueprint(uuid4().hex)))
            answers.append(client.get("/composes"))
            answers.append(client.get("/blueprints"))
            time.sleep(0.05)

    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(ask)
        try:
            yield answers
        finally:
            enough.set()
            asked.result()


def clients(versions: RollOver) -> tuple[Client, Client]:
    """The same user of a test's organization, at the older and at the newer version."""
    tenant = uuid4().hex
    return versions.older.client(tenant), versions.newer.client(tenant)


def document(answer: requests.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def shown(client: Client) -> list[dict[str, Any]]:
    """The items of the lists of composes and of blueprints."""
    return [*listed(client)["data"], *document(client.get("/blueprints"))["data"]]


def assert_same(older: list[dict[str, Any]], newer: list[dict[str, Any]]) -> None:
    """Both versions show the same; the newer one may show more fields."""
    assert [item["id"] for item in older] == [item["id"] for item in newer]
    for before, after in zip(older, newer, strict=True):
        assert before == {name: after.get(name) for name in before}


def test_the_older_version_serves_while_the_newer_one_migrates_and_starts(versions: RollOver) -> None:
    assert len(versions.meanwhile) >= 4, "one round of requests"
    assert {answer.status_code for answer in versions.meanwhile} <= {200, 201}


def test_both_versions_show_the_builds_of_each_other(versions: RollOver) -> None:
    older, newer = clients(versions)
    started = {older.compose(compose_request()), newer.compose(compose_request())}
    for client in (older, newer):
        assert {each["id"] for each in listed(client)["data"]} == started
        assert {document(client.get(f"/composes/{each}"))["image_status"]["status"] for each in started}
    assert_same(shown(older), shown(newer))


def test_a_build_deleted_by_one_version_is_hidden_in_both(versions: RollOver) -> None:
    for deletes, other in (clients(versions), clients(versions)[::-1]):
        deleted = other.compose(compose_request())
        assert deletes.delete(f"/composes/{deleted}").status_code == 200
        assert listed(other)["data"] == listed(deletes)["data"] == []


def test_a_blueprint_of_one_version_is_changed_and_built_by_the_other(versions: RollOver) -> None:
    for order in (1, -1):
        older, newer = clients(versions)
        makes, other = (older, newer)[::order]
        made = document(makes.post("/blueprints", blueprint("made")), 201)["id"]
        changed = blueprint("changed", description="by the other")
        assert document(other.request("PUT", f"/blueprints/{made}", json=changed))["id"] == made
        (build,) = document(other.post(f"/blueprints/{made}/compose"), 201)
        for client in (makes, other):
            found = document(client.get(f"/blueprints/{made}"))
            assert (found["name"], found["description"]) == ("changed", "by the other")
            (listed_blueprint,) = document(client.get("/blueprints?search=CHANGED"))["data"]
            assert (listed_blueprint["id"], listed_blueprint["version"]) == (made, 2)
            (listed_build,) = document(client.get(f"/blueprints/{made}/composes"))["data"]
            assert listed_build["id"] == build["id"]
        assert_same(shown(older), shown(newer))


def test_the_quota_is_exact_over_both_versions(versions: RollOver) -> None:
    both = (versions.older.client("limited"), versions.newer.client("limited"))
    calls = [patient(partial(client.post, "/compose", compose_request())) for client in both for _ in range(10)]
    answers = at_once(calls)
    assert statuses(answers) == {201: QUOTA, 403: 20 - QUOTA}
    assert counts(versions.database, "limited") == (QUOTA, 0)


def test_the_older_version_starts_again_on_the_newer_schema(versions: RollOver) -> None:
    older, newer = clients(versions)
    kept = document(newer.post("/blueprints", blueprint("kept")), 201)["id"]
    newer.compose(compose_request())
    document(newer.post(f"/blueprints/{kept}/compose"), 201)
    before = shown(newer)
    versions.older.stop()
    versions.older.migrate()
    versions.older.start()
    assert_same(shown(older), before)
    older.compose(compose_request())
    document(older.request("PUT", f"/blueprints/{kept}", json=blueprint("kept", description="after all")))
    assert len(listed(older)["data"]) == 3
    assert_same(shown(older), shown(newer))
