"""All operations answer rows of every older shape, in a database that was migrated from tern migration 15.

The rows are inserted before the migrations of this service and before its start.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform.process import StandInPlatform
from adapters.postgres.maintenance import open_maintenance
from adapters.postgres.migrate import migrate
from tests.support import databases, stand_in
from tests.support.blueprints import (
    add_version,
    blueprint,
    changed,
    composed,
    composes_of,
    exported,
    insert_blueprint,
    listed,
    read,
)
from tests.support.builders import compose_request
from tests.support.composes import listed as listed_composes
from tests.support.databases import Parameters, session
from tests.support.old_rows import BODIES, BUILDS, COLUMNS, PLAIN, REQUESTS, SNAPSHOTS, body
from tests.support.platform import service_with
from tests.support.refusals import refusal
from tests.support.rows import TERN_15, insert_compose
from tests.support.service import Service

UNTOLD = ("old-secret", '"password"', "null")


class Taken:
    """The migrated database, and its rows by their organizations."""

    def __init__(self, parameters: Parameters, composer: StandInComposer) -> None:
        self.parameters = parameters
        self.blueprints: dict[str, UUID] = {}
        self.composes: dict[str, UUID] = {}
        self._composer = stand_in.Client(composer)
        for name, stored in BODIES.items():
            self._blueprint(name, stored)
        for name, columns in COLUMNS.items():
            self._blueprint(name, body(), **columns)
        for name, snapshots in SNAPSHOTS.items():
            self._blueprint(f"snapshots of {name}", body(), snapshots=snapshots)
        for name, stored in REQUESTS.items():
            self._compose(name, stored)
        for name, columns in BUILDS.items():
            self._compose(name, compose_request(), **columns)

    def _blueprint(self, shape: str, stored: Any, snapshots: Any = None, **columns: Any) -> None:
        key = self.blueprints[shape] = insert_blueprint(
            self.parameters, f"blueprint, {shape}", columns.pop("name", "of old"), **columns
        )
        with session(self.parameters) as connection:
            add_version(connection, key, 1, stored, snapshots)
            add_version(connection, key, 2, stored, snapshots)

    def _compose(self, name: str, stored: Any, **columns: Any) -> None:
        build = self._composer.queued()
        self.composes[name] = insert_compose(
            self.parameters, f"compose, {name}", stored, ago=timedelta(days=13), job_id=build, **columns
        )


@pytest.fixture(scope="module")
def taken(postgres: Parameters, composer_process: StandInComposer) -> Iterator[Taken]:
    composer_process.reset()
    with databases.database(postgres) as parameters:
        with session(parameters) as connection:
            connection.execute(TERN_15)
        found = Taken(parameters, composer_process)
        migrate(parameters)
        yield found


@pytest.fixture(scope="module")
def service(taken: Taken, composer_process: StandInComposer, platform_process: StandInPlatform) -> Iterator[Service]:
    platform_process.reset()
    with service_with(taken.parameters, composer_process.url, platform_process) as running:
        yield running


def clean(answer: requests.Response) -> Any:
    """The answer must be successful and contain no secrets."""
    assert answer.status_code == 200, answer.text
    for untold in UNTOLD:
        assert untold not in answer.text
    return answer.json()


every_blueprint = pytest.mark.parametrize("name", [*BODIES, *COLUMNS, *(f"snapshots of {each}" for each in SNAPSHOTS)])
every_compose = pytest.mark.parametrize("name", [*REQUESTS, *BUILDS])


@every_blueprint
def test_an_older_blueprint_is_listed_read_and_exported(service: Service, taken: Taken, name: str) -> None:
    client, key = service.client(f"blueprint, {name}"), taken.blueprints[name]
    columns = COLUMNS.get(name, {})
    title, description = columns.get("name", "of old"), columns.get("description") or ""
    for query in ("", f"?name={title}", f"?search={title[:5].upper()}"):
        (item,) = clean(client.get(f"/blueprints{query}"))["data"]
        assert (item["id"], item["version"]) == (str(key), 2)
    for query in ("", "?version=1", "?version=-1"):
        found = clean(client.get(f"/blueprints/{key}{query}"))
        assert (found["name"], found["description"]) == (title, description)
        assert isinstance(found["image_requests"], list)
        assert found["customizations"].get("openscap") in (None, {"profile_id": "p"})
        assert set(found) <= {
            *("id", "name", "description", "lint", "distribution", "bootc", "image_requests", "customizations")
        }
    assert clean(client.get(f"/blueprints/{key}/export"))["name"] == title
    text = client.get(f"/blueprints/{key}/export", headers={"Accept": "application/toml"})
    assert text.status_code == 200, text.text
    assert tomllib.loads(text.text)["name"] == title
    assert "old-secret" not in text.text
    assert clean(client.get(f"/blueprints/{key}/composes"))["data"] == []


# These say nothing to build, or what no program can build any more.
NOT_BUILT = {"empty": 201, "nulls": 201, "an image type of long ago": 400, "a snapshot": 400}


@every_blueprint
def test_an_older_blueprint_is_built_changed_fixed_up_and_deleted(service: Service, taken: Taken, name: str) -> None:
    client, key = service.client(f"blueprint, {name}"), str(taken.blueprints[name])
    if name in NOT_BUILT:
        assert client.post(f"/blueprints/{key}/compose").status_code == NOT_BUILT[name]
    else:
        (build,) = composed(client, key)
        (item,) = clean(client.get(f"/blueprints/{key}/composes"))["data"]
        assert (item["id"], item["blueprint_version"]) == (build, 2)
        clean(client.get(f"/composes/{build}"))
    fixed = client.post(f"/experimental/blueprints/{key}/fixup")
    assert fixed.status_code == (200 if read(client, key).get("distribution") else 400), fixed.text
    users = read(client, key)["customizations"].get("users", [])
    changed(client, key, blueprint("new", customizations={"users": [{"name": each["name"]} for each in users]}))
    assert read(client, key)["name"] == "new"
    assert [item["name"] for item in listed(client)["data"]] == ["new"]
    assert client.delete(f"/blueprints/{key}").status_code == 204
    assert listed(client)["data"] == []


@every_compose
def test_an_older_compose_is_listed_read_and_deleted(service: Service, taken: Taken, name: str) -> None:
    client, key = service.client(f"compose, {name}"), taken.composes[name]
    (item,) = clean(client.get("/composes"))["data"]
    assert item["id"] == str(key)
    assert set(item) - {"id", "request", "created_at"} == {"image_name", "client_id"} & BUILDS.get(name, {}).keys()
    watched = clean(client.get(f"/composes/{key}"))
    assert watched["request"] == item["request"]
    assert watched["image_status"]["status"]
    assert client.get(f"/composes/{key}/metadata").status_code == 200
    assert clean(client.get("/quota")) == {"unlimited": True}
    left = clean(client.get("/composes?ignoreImageTypes=guest-image"))["data"]
    assert len(left) == (name in {"an image type of long ago", "empty"})


def test_a_user_of_an_older_compose_has_a_password_if_the_row_has_one_or_says_so(
    service: Service, taken: Taken
) -> None:
    for name in ("a plain password", "a hash", "said to have a password"):
        (item,) = listed_composes(service.client(f"compose, {name}"))["data"]
        (user,) = item["request"]["customizations"]["users"]
        assert user["hasPassword"], name


def test_a_deleted_blueprint_whose_name_is_its_id_is_not_found(service: Service) -> None:
    client, deleted = service.client("old"), "b0000000-0000-4000-8000-000000000002"
    assert [item["name"] for item in listed(client)["data"]] == ["kept"]
    for query in (f"?name={deleted}", f"?search={deleted}"):
        assert listed(client, query)["data"] == []
    for path in (f"/blueprints/{deleted}", f"/blueprints/{deleted}/export", f"/blueprints/{deleted}/composes"):
        refusal(client.get(path), 404)


def test_the_composes_of_an_older_blueprint_are_found_by_its_version(service: Service) -> None:
    client, old = service.client("old"), "b0000000-0000-4000-8000-000000000001"
    assert composes_of(client, old)["data"] == []  # it is from 2024
    assert read(client, old, "?version=1")["customizations"]["kernel"] == {"append": " audit=1"}
    assert exported(client, old)["customizations"]["openscap"] == {"profile_id": "xccdf"}


def test_maintenance_removes_only_the_passwords_from_older_composes(service: Service, taken: Taken) -> None:
    clients = {name: service.client(f"compose, {name}") for name in taken.composes}
    before = {name: listed_composes(each) for name, each in clients.items()}
    with open_maintenance(taken.parameters, 12_000) as work:
        assert sum(work.redact_passwords(dry_run=False)) >= 2
    with session(taken.parameters) as connection:
        kept = connection.execute("SELECT request::text FROM composes").fetchall()
    assert [row for (row,) in kept if PLAIN in row or '"password"' in row] == []
    assert {name: listed_composes(each) for name, each in clients.items()} == before
