"""Blueprints that an older program writes to the same tables, before this service or beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from adapters.postgres.blueprints import PostgresBlueprints
from domain.blueprints.blueprint import Blueprint, BlueprintsQuery, Version
from domain.errors import StaleVersionError
from domain.paging import Page
from tests.support.blueprints import add_version, insert_blueprint, insert_version, stored_versions
from tests.support.builders import image_request
from tests.support.databases import Parameters, session, until_it_waits

BODY: dict[str, Any] = {"distribution": "centos-9", "image_requests": [image_request()], "customizations": {}}
Change = Callable[[Blueprint], Version]


def packages(*names: str) -> dict[str, Any]:
    return {**BODY, "customizations": {"packages": list(names)}}


def with_ours(latest: Blueprint) -> Version:
    return Version("web", "", packages(*latest.customizations.get("packages", ()), "ours"))


@contextmanager
def interrupted(
    database: Parameters, blueprint_id: UUID, *, patience: str
) -> Iterator[tuple[Change, list[Future[UUID]]]]:
    """A change during which the older program begins to add version 2, and the results of both.

    Each waits for the other: the older program gives up after its `patience`, this service after a second.
    """
    theirs: list[Future[UUID]] = []
    with session(database) as connection, ThreadPoolExecutor(1) as thread:
        connection.execute(f"SET deadlock_timeout = '{patience}'".encode())

        def change(latest: Blueprint) -> Version:
            if not theirs:
                theirs.append(thread.submit(add_version, connection, blueprint_id, 2, packages("theirs")))
                until_it_waits(database, connection)
            return with_ours(latest)

        yield change, theirs


def test_a_version_that_an_older_program_adds_concurrently_is_not_lost(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = insert_blueprint(module_database, tenant, "web", BODY)
    with interrupted(module_database, blueprint_id, patience="20s") as (change, theirs):
        assert blueprints.change(tenant, blueprint_id, None, change) == 3
        theirs[0].result()
    assert [body for _, body, _ in stored_versions(module_database, blueprint_id)] == [
        BODY,
        packages("theirs"),
        packages("theirs", "ours"),
    ]


def test_a_version_that_an_older_program_adds_concurrently_makes_the_expected_version_stale(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = insert_blueprint(module_database, tenant, "web", BODY)
    with interrupted(module_database, blueprint_id, patience="20s") as (change, theirs):
        with pytest.raises(StaleVersionError):
            blueprints.change(tenant, blueprint_id, frozenset({1}), change)
        theirs[0].result()
    assert [body for _, body, _ in stored_versions(module_database, blueprint_id)] == [BODY, packages("theirs")]


def test_versions_continue_after_those_of_an_older_program(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = insert_blueprint(module_database, tenant, "web", BODY, packages("a"))
    insert_version(module_database, blueprint_id, 7, packages("b"))
    assert blueprints.change(tenant, blueprint_id, None, with_ours) == 8
    assert blueprints.get(tenant, blueprint_id).body == packages("b", "ours")


def test_rows_with_missing_values_are_read(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = insert_blueprint(module_database, tenant, "n" * 200, BODY, description=None, metadata=None)
    found = blueprints.get(tenant, blueprint_id)
    assert (found.name, found.description, found.body) == ("n" * 200, "", BODY)
    (item,) = blueprints.find_page(BlueprintsQuery(tenant, Page(100, 0))).blueprints
    assert (item.name, item.description) == ("n" * 200, "")


ODD_BODIES: list[Any] = [
    {},
    [],
    "text",
    7,
    None,
    {"customizations": None, "image_requests": None},
    {"customizations": [], "image_requests": {}},
    {"name": "inner", "description": "inner", "metadata": {}, **BODY},
    {**BODY, "customizations": {"openscap": {"profile_id": "p", "policy_id": str(UUID(int=0))}}},
]


@pytest.mark.parametrize("body", ODD_BODIES, ids=range(len(ODD_BODIES)))
def test_bodies_of_any_shape_are_read_listed_changed_and_deleted(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str, body: Any
) -> None:
    blueprint_id = insert_blueprint(module_database, tenant, "old", body)
    found = blueprints.get(tenant, blueprint_id)
    assert (found.name, found.policy_id, set(found.body) <= set(BODY)) == ("old", None, True)
    assert found.image_requests in ([], BODY["image_requests"])
    assert blueprints.find_page(BlueprintsQuery(tenant, Page(100, 0))).count == 1
    assert blueprints.change(tenant, blueprint_id, None, with_ours) == 2
    blueprints.delete(tenant, blueprint_id, None)


def test_a_number_that_cannot_be_parsed_does_not_affect_other_blueprints(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = insert_blueprint(module_database, tenant, "old", BODY)
    with session(module_database) as connection:
        connection.execute(
            "UPDATE blueprint_versions SET body = %s::jsonb WHERE blueprint_id = %s",
            ('{"customizations": {"x": 1' + "0" * 400 + "}}", blueprint_id),
        )
    assert blueprints.get(tenant, blueprint_id).name == "old"
    assert blueprints.find_page(BlueprintsQuery(tenant, Page(100, 0))).count == 1


@pytest.mark.parametrize("snapshots", [None, ["odd"], "odd", 7])
def test_snapshots_of_an_unknown_shape_are_ignored(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str, snapshots: Any
) -> None:
    blueprint_id = insert_blueprint(module_database, tenant, "old")
    insert_version(module_database, blueprint_id, 1, BODY, snapshots)
    assert blueprints.get(tenant, blueprint_id).snapshots == {}
