"""This service reads the rows that the Go service writes to the same database, beside it or after a roll-back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.postgres.migrate import migrate
from tests.support import databases, go_service, stand_in
from tests.support.blueprints import (
    NOT_UNIQUE,
    blueprint,
    changed,
    composed,
    composes_of,
    exported,
    kept,
    listed,
    names,
    put,
    read,
)
from tests.support.builders import compose_request
from tests.support.composes import listed as listed_composes
from tests.support.composes import status_of
from tests.support.databases import Parameters, session
from tests.support.rows import TERN_15
from tests.support.service import Client, Service

BODY = {name: value for name, value in blueprint().items() if name != "name"}


@pytest.fixture(scope="module", params=["made by this version", "taken over at tern 15"])
def shared_database(postgres: Parameters, request: pytest.FixtureRequest) -> Iterator[Parameters]:
    with databases.database(postgres) as parameters:
        if request.param == "taken over at tern 15":
            with session(parameters) as connection:
                connection.execute(TERN_15)
        migrate(parameters)
        yield parameters


@pytest.fixture(scope="module")
def service(shared_database: Parameters, composer_process: StandInComposer) -> Iterator[Service]:
    composer_process.reset()
    with Service(shared_database, composer_process.url) as running:
        yield running


@pytest.fixture(params=["usual", "least"])
def written(
    request: pytest.FixtureRequest, tenant: str, shared_database: Parameters, composer: StandInComposer
) -> dict[str, Any]:
    """The rows that the Go service wrote for the tenant: a blueprint, its version 1, and a compose."""
    call = stand_in.Client(composer)
    build = call.queued()
    call.session.close()
    values = {**go_service.row(tenant, "theirs", BODY, compose_request()), "compose": build}
    statements = {"usual": go_service.ALL, "least": go_service.LEAST}[request.param]
    go_service.write(shared_database, values, *statements)
    return {**values, "of the blueprint": request.param == "usual"}


def test_a_blueprint_of_the_go_service_is_listed_read_exported_built_and_changed(
    client: Client, written: dict[str, Any]
) -> None:
    key = str(written["blueprint"])
    (item,) = listed(client)["data"]
    assert (item["id"], item["name"], item["version"]) == (key, "theirs", 1)
    assert names(listed(client, "?search=THEIR")) == names(listed(client, "?name=theirs")) == ["theirs"]
    assert read(client, key)["distribution"] == BODY["distribution"]
    assert exported(client, key)["name"] == "theirs"
    (build,) = composed(client, key)
    assert build in {each["id"] for each in composes_of(client, key)["data"]}
    changed(client, key, blueprint("ours"))
    assert read(client, key)["name"] == "ours"


def test_a_compose_of_the_go_service_is_listed_and_its_status_is_answered(
    client: Client, written: dict[str, Any]
) -> None:
    build = str(written["compose"])
    (item,) = listed_composes(client)["data"]
    assert item["id"] == build
    assert status_of(client, build)["request"] == item["request"]
    assert [each["id"] for each in listed_composes(client, "?ignoreImageTypes=guest-image")["data"]] == []
    of_blueprint = composes_of(client, str(written["blueprint"]))["data"]
    assert [each["id"] for each in of_blueprint] == [build] * written["of the blueprint"]


def test_rows_that_the_go_service_deletes_are_not_found(
    client: Client, written: dict[str, Any], shared_database: Parameters
) -> None:
    go_service.write(shared_database, written, go_service.DELETE_BLUEPRINT, go_service.DELETE_COMPOSE)
    assert listed(client)["data"] == listed_composes(client)["data"] == []
    assert client.get(f"/blueprints/{written['blueprint']}").status_code == 404
    kept(client, name="theirs")


def test_a_blueprint_version_that_the_go_service_adds_is_the_latest(
    client: Client, tenant: str, shared_database: Parameters
) -> None:
    key = kept(client, name="ours")
    kept(client, name="newer")
    body = {**BODY, "customizations": {"packages": ["vim"]}}
    values = {**go_service.row(tenant, "ours", body, {}, number=2), "blueprint": key}
    go_service.write(shared_database, values, go_service.INSERT_VERSION)
    assert [(item["name"], item["version"]) for item in listed(client)["data"]] == [("ours", 2), ("newer", 1)]
    assert read(client, key)["customizations"] == {"packages": ["vim"]}
    changed(client, key, blueprint("ours"))
    assert listed(client, "?name=ours")["data"][0]["version"] == 3


@pytest.mark.usefixtures("written")
def test_a_blueprint_name_is_unique_across_both_services(
    client: Client, tenant: str, shared_database: Parameters
) -> None:
    assert client.post("/blueprints", blueprint("theirs")).json()["errors"] == [NOT_UNIQUE]
    key = kept(client, name="ours")
    assert put(client, key, blueprint("theirs")).json()["errors"] == [NOT_UNIQUE]
    with pytest.raises(psycopg.errors.UniqueViolation) as refused:
        go_service.write(shared_database, go_service.row(tenant, "ours", BODY, {}), go_service.INSERT_BLUEPRINT)
    assert refused.value.diag.constraint_name == "blueprints_name_unique"
