"""Blueprints and their versions, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from adapters.postgres.blueprints import PostgresBlueprints
from adapters.postgres.connection import PostgresDatabase
from domain.blueprints.blueprint import Blueprint, BlueprintsPage, BlueprintsQuery, NewBlueprint, Version
from domain.errors import NotFoundError, RulesViolatedError, StaleVersionError, UnavailableError, Violation
from domain.paging import Page
from tests.support.blueprints import stored_blueprint, stored_versions
from tests.support.builders import image_request
from tests.support.databases import Parameters, session
from tests.support.retrying import retry_while_unavailable
from tests.support.rows import insert_compose, now, stored_row

BODY: dict[str, Any] = {"distribution": "centos-9", "image_requests": [image_request()], "customizations": {}}
NOT_UNIQUE = Violation("Name not unique", "A blueprint with the same name already exists.")


def new(tenant: str, name: str, description: str = "", **fields: Any) -> NewBlueprint:
    return NewBlueprint(tenant, "7", name, description, fields.pop("body", BODY), **fields)


def packages(*names: str) -> dict[str, Any]:
    return {**BODY, "customizations": {"packages": list(names)}}


def becoming(
    name: str, body: Any = BODY, description: str = "", snapshots: Any = None
) -> Callable[[Blueprint], Version]:
    return lambda _: Version(name, description, body, snapshots)


def with_one_more(package: str) -> Callable[[Blueprint], Version]:
    def change(latest: Blueprint) -> Version:
        return Version(latest.name, latest.description, packages(*latest.customizations.get("packages", ()), package))

    return change


def page(
    blueprints: PostgresBlueprints, tenant: str, limit: int = 100, offset: int = 0, **query: Any
) -> BlueprintsPage:
    return blueprints.find_page(BlueprintsQuery(tenant, Page(limit, offset), **query))


def names(found: BlueprintsPage) -> list[str]:
    return [each.name for each in found.blueprints]


# Versions


def test_a_created_blueprint_is_read_as_version_1(blueprints: PostgresBlueprints, tenant: str) -> None:
    snapshots = {"compliance": {"policy_id": "p", "policy_customizations": {}}}
    blueprint_id = blueprints.create(new(tenant, "web", "of mine", body=packages("nginx"), snapshots=snapshots))
    found = blueprints.get(tenant, blueprint_id)
    assert (found.id, found.name, found.description, found.version) == (blueprint_id, "web", "of mine", 1)
    assert (found.body, found.snapshots) == (packages("nginx"), snapshots)


def test_a_new_blueprint_has_the_columns_of_the_older_program(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str
) -> None:
    metadata = {"parent_id": None, "exported_at": "2025-01-01", "is_on_prem": True}
    blueprint_id = blueprints.create(new(tenant, "web", "of mine", metadata=metadata))
    row = stored_blueprint(module_database, blueprint_id)
    assert abs(row.pop("created_at") - now()) < timedelta(minutes=1)
    assert row == {
        "id": blueprint_id,
        "org_id": tenant,
        "account_number": "7",
        "name": "web",
        "description": "of mine",
        "deleted": False,
        "metadata": metadata,
    }
    assert stored_versions(module_database, blueprint_id) == [(1, BODY, None)]


def test_a_change_creates_the_next_version_and_keeps_the_earlier_ones(
    blueprints: PostgresBlueprints, tenant: str
) -> None:
    blueprint_id = blueprints.create(new(tenant, "web", body=packages("a")))
    assert blueprints.change(tenant, blueprint_id, None, becoming("web", packages("b"))) == 2
    assert blueprints.change(tenant, blueprint_id, None, becoming("web", packages("c"))) == 3
    read = {number: blueprints.get(tenant, blueprint_id, number).body for number in (1, 2, 3)}
    assert read == {1: packages("a"), 2: packages("b"), 3: packages("c")}
    assert blueprints.get(tenant, blueprint_id).version == 3


def test_a_version_has_its_own_id_to_which_composes_refer(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = blueprints.create(new(tenant, "web"))
    blueprints.change(tenant, blueprint_id, None, becoming("web"))
    first, second = (blueprints.get(tenant, blueprint_id, number).version_id for number in (1, 2))
    assert first != second
    insert_compose(module_database, tenant, blueprint_version_id=second)  # the database checks that it is there


def test_name_and_description_are_the_current_ones_for_every_version(
    blueprints: PostgresBlueprints, tenant: str
) -> None:
    blueprint_id = blueprints.create(new(tenant, "old", "before"))
    blueprints.change(tenant, blueprint_id, None, becoming("new", description="after"))
    first = blueprints.get(tenant, blueprint_id, 1)
    assert (first.version, first.name, first.description) == (1, "new", "after")


@pytest.mark.parametrize("number", [2, 2**31, 2**63 - 1])
def test_an_unknown_version_is_not_found(blueprints: PostgresBlueprints, tenant: str, number: int) -> None:
    blueprint_id = blueprints.create(new(tenant, "web"))
    with pytest.raises(NotFoundError):
        blueprints.get(tenant, blueprint_id, number)


def test_a_change_gets_the_latest_version(blueprints: PostgresBlueprints, tenant: str) -> None:
    blueprint_id = blueprints.create(new(tenant, "web", "of mine", body=packages("a")))
    seen: list[Blueprint] = []

    def change(latest: Blueprint) -> Version:
        seen.append(latest)
        return Version("web", "", BODY)

    blueprints.change(tenant, blueprint_id, None, change)
    assert [(each.version, each.description, each.body) for each in seen] == [(1, "of mine", packages("a"))]


def test_a_change_that_raises_changes_nothing(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = blueprints.create(new(tenant, "web"))

    def change(_: Blueprint) -> Version:
        raise UnavailableError("not now")

    with pytest.raises(UnavailableError, match="not now"):
        blueprints.change(tenant, blueprint_id, None, change)
    assert stored_versions(module_database, blueprint_id) == [(1, BODY, None)]


def test_a_change_does_not_modify_the_version_it_starts_from(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = blueprints.create(new(tenant, "web", metadata={"parent_id": "x"}))
    before = stored_blueprint(module_database, blueprint_id)
    blueprints.change(tenant, blueprint_id, None, becoming("other"))
    assert stored_blueprint(module_database, blueprint_id) == {**before, "name": "other"}


@pytest.mark.parametrize("wanted", [None, frozenset({2}), frozenset({1, 2})])
def test_a_change_with_the_current_version_succeeds(
    blueprints: PostgresBlueprints, tenant: str, wanted: frozenset[int] | None
) -> None:
    blueprint_id = blueprints.create(new(tenant, "web"))
    blueprints.change(tenant, blueprint_id, frozenset({1}), becoming("web"))
    assert blueprints.change(tenant, blueprint_id, wanted, becoming("web")) == 3


@pytest.mark.parametrize("wanted", [frozenset(), frozenset({1}), frozenset({3, 4})])
def test_a_change_or_deletion_with_another_version_is_refused(
    blueprints: PostgresBlueprints, tenant: str, wanted: frozenset[int]
) -> None:
    blueprint_id = blueprints.create(new(tenant, "web"))
    blueprints.change(tenant, blueprint_id, None, becoming("web"))
    with pytest.raises(StaleVersionError):
        blueprints.change(tenant, blueprint_id, wanted, becoming("lost"))
    with pytest.raises(StaleVersionError):
        blueprints.delete(tenant, blueprint_id, wanted)
    found = blueprints.get(tenant, blueprint_id)
    assert (found.version, found.name) == (2, "web")


def test_concurrent_changes_are_serialized_and_none_is_lost(blueprints: PostgresBlueprints, tenant: str) -> None:
    blueprint_id = blueprints.create(new(tenant, "web"))

    def change(number: int) -> int:
        return retry_while_unavailable(
            lambda: blueprints.change(tenant, blueprint_id, None, with_one_more(str(number)))
        )

    with ThreadPoolExecutor(12) as threads:
        numbers = list(threads.map(change, range(12)))
    assert sorted(numbers) == list(range(2, 14))
    assert sorted(map(int, blueprints.get(tenant, blueprint_id).customizations["packages"])) == list(range(12))


# Names


def test_a_name_is_unique_for_a_tenant(blueprints: PostgresBlueprints, tenant: str) -> None:
    blueprints.create(new(tenant, "web"))
    with pytest.raises(RulesViolatedError) as raised:
        blueprints.create(new(tenant, "web"))
    assert raised.value.violations == (NOT_UNIQUE,)
    assert page(blueprints, tenant).count == 1


@pytest.mark.parametrize("other", ["Web", "web ", " web"])
def test_names_that_differ_in_one_character_are_different(
    blueprints: PostgresBlueprints, tenant: str, other: str
) -> None:
    blueprints.create(new(tenant, "web"))
    blueprints.create(new(tenant, other))
    assert page(blueprints, tenant).count == 2


def test_two_tenants_may_use_the_same_name(blueprints: PostgresBlueprints, tenant: str) -> None:
    blueprints.create(new(tenant, "web"))
    blueprints.create(new(f"other-{tenant}", "web"))
    assert page(blueprints, tenant).count == 1


def test_a_rename_to_anothers_name_is_refused_and_changes_nothing(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str
) -> None:
    blueprints.create(new(tenant, "taken"))
    blueprint_id = blueprints.create(new(tenant, "web"))
    with pytest.raises(RulesViolatedError) as raised:
        blueprints.change(tenant, blueprint_id, None, becoming("taken", packages("a")))
    assert raised.value.violations == (NOT_UNIQUE,)
    assert stored_blueprint(module_database, blueprint_id)["name"] == "web"
    assert stored_versions(module_database, blueprint_id) == [(1, BODY, None)]


def test_a_deleted_blueprints_name_is_free(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str
) -> None:
    first = blueprints.create(new(tenant, "web"))
    blueprints.delete(tenant, first, None)
    assert stored_blueprint(module_database, first)["name"] == str(first)
    second = blueprints.create(new(tenant, "web"))
    blueprints.delete(tenant, second, None)
    assert page(blueprints, tenant) == BlueprintsPage(0, ())


# Deleting


def test_a_deleted_blueprint_is_not_found(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = blueprints.create(new(tenant, "web"))
    blueprints.delete(tenant, blueprint_id, frozenset({1}))
    is_not_found(blueprints, tenant, blueprint_id)
    assert stored_versions(module_database, blueprint_id) == [(1, BODY, None)]


def test_composes_of_all_its_versions_are_deleted_with_a_blueprint_and_no_others(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str
) -> None:
    blueprint_id, other_id = blueprints.create(new(tenant, "web")), blueprints.create(new(tenant, "other"))
    blueprints.change(tenant, blueprint_id, None, becoming("web"))
    versions = [blueprints.get(tenant, blueprint_id, number).version_id for number in (1, 2)]
    gone = [insert_compose(module_database, tenant, blueprint_version_id=version) for version in versions]
    other_version = blueprints.get(tenant, other_id).version_id
    stays = [insert_compose(module_database, tenant, blueprint_version_id=of) for of in (None, other_version)]
    blueprints.delete(tenant, blueprint_id, None)
    deleted = {compose: stored_row(module_database, compose)["deleted"] for compose in (*gone, *stays)}
    assert deleted == {**dict.fromkeys(gone, True), **dict.fromkeys(stays, False)}


def is_not_found(blueprints: PostgresBlueprints, tenant: str, blueprint_id: UUID) -> None:
    for attempt in (
        lambda: blueprints.get(tenant, blueprint_id),
        lambda: blueprints.get(tenant, blueprint_id, 1),
        lambda: blueprints.change(tenant, blueprint_id, None, becoming("x")),
        lambda: blueprints.delete(tenant, blueprint_id, None),
        lambda: blueprints.delete(tenant, blueprint_id, frozenset({7})),
    ):
        with pytest.raises(NotFoundError):
            attempt()


def test_a_blueprint_of_another_tenant_is_not_found_and_not_changed(
    blueprints: PostgresBlueprints, tenant: str
) -> None:
    blueprint_id = blueprints.create(new(tenant, "web"))
    is_not_found(blueprints, f"other-{tenant}", blueprint_id)
    assert blueprints.get(tenant, blueprint_id).version == 1


def test_an_unknown_blueprint_is_not_found(blueprints: PostgresBlueprints, tenant: str) -> None:
    is_not_found(blueprints, tenant, uuid4())


def test_any_number_of_composes_is_deleted_with_a_blueprint(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = blueprints.create(new(tenant, "web"))
    version = blueprints.get(tenant, blueprint_id).version_id
    with session(module_database) as connection:
        connection.execute(
            "INSERT INTO composes (job_id, request, created_at, account_number, org_id, blueprint_version_id) "
            "SELECT gen_random_uuid(), '{}', now() AT TIME ZONE 'utc', '', %s, %s FROM generate_series(1, 4500)",
            (tenant, version),
        )
    blueprints.delete(tenant, blueprint_id, None)
    with session(module_database) as connection:
        shown = connection.execute("SELECT count(*) FROM composes WHERE org_id = %s AND NOT deleted", (tenant,))
        assert shown.fetchone() == (0,)


def test_an_unavailable_database_raises_an_unavailable_error(database: Parameters, tenant: str) -> None:
    pool = PostgresDatabase({**database, "port": 1}, size=1)
    pool.open()
    away = PostgresBlueprints(pool)
    try:
        for attempt in (
            lambda: page(away, tenant),
            lambda: away.get(tenant, uuid4()),
            lambda: away.create(new(tenant, "web")),
            lambda: away.change(tenant, uuid4(), None, becoming("web")),
            lambda: away.delete(tenant, uuid4(), None),
        ):
            with pytest.raises(UnavailableError):
                attempt()
    finally:
        pool.close()


def test_times_are_utc_in_every_time_zone_of_the_server(blueprints: PostgresBlueprints, tenant: str) -> None:
    blueprints.create(new(tenant, "web"))
    (item,) = page(blueprints, tenant).blueprints
    assert abs(item.last_modified_at - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)
