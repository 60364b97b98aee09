"""Who created builds and blueprints, against the running service."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import blueprint, changed, kept
from tests.support.builders import compose_request
from tests.support.composes import listed, status_of
from tests.support.databases import Parameters
from tests.support.rows import insert_compose
from tests.support.service import Client, Service

As = Callable[[str], Client]


@pytest.fixture
def as_user(service: Service, composer: StandInComposer, tenant: str) -> As:
    """A client that is this user of the test's organization."""
    return lambda name: service.client(tenant, user={"username": name, "email": f"{name}@example.com"})


def test_builds_say_who_started_them_and_are_found_by_it(as_user: As) -> None:
    by_alice = as_user("alice").compose(compose_request())
    by_bob = as_user("bob").compose(compose_request())
    client = as_user("carol")
    assert {item["id"]: item["created_by"] for item in listed(client)["data"]} == {by_alice: "alice", by_bob: "bob"}
    assert status_of(client, by_alice)["created_by"] == "alice"
    page = listed(client, "?created_by=alice")
    assert (page["meta"]["count"], [item["id"] for item in page["data"]]) == (1, [by_alice])
    assert listed(client, "?created_by=Alice")["meta"]["count"] == 0


def test_a_service_account_is_a_user_too(service: Service, composer: StandInComposer, tenant: str) -> None:
    robot = service.client(tenant, user=None, service_account={"username": "robot"}, type="ServiceAccount")
    compose_id = robot.compose(compose_request())
    assert status_of(robot, compose_id)["created_by"] == "robot"


def test_builds_of_the_go_service_have_no_author(client: Client, tenant: str, module_database: Parameters) -> None:
    insert_compose(module_database, tenant)
    (item,) = listed(client)["data"]
    assert "created_by" not in item


def test_blueprints_say_who_created_them_and_who_saved_each_version(as_user: As) -> None:
    blueprint_id = kept(as_user("alice"), name="web")
    changed(as_user("bob"), blueprint_id, blueprint("web", description="new"))
    client = as_user("carol")
    first, latest = (client.get(f"/blueprints/{blueprint_id}?version={number}").json() for number in (1, 2))
    assert (first["created_by"], first["modified_by"]) == ("alice", "alice")
    assert (latest["created_by"], latest["modified_by"]) == ("alice", "bob")
    for query in ("", "?name=web", "?search=web&sort=name"):
        (item,) = client.get(f"/blueprints{query}").json()["data"]
        assert item["created_by"] == "alice"
