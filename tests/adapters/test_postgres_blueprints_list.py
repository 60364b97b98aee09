"""Lists of blueprints, on a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.postgres.blueprints import PostgresBlueprints
from domain.blueprints.blueprint import BlueprintsPage, BlueprintsQuery, NewBlueprint, Version
from domain.paging import Page
from tests.support.blueprints import insert_blueprint
from tests.support.databases import Parameters, session

BODY: dict[str, Any] = {"image_requests": [], "customizations": {}}


def create(blueprints: PostgresBlueprints, tenant: str, name: str, description: str = "") -> Any:
    return blueprints.create(NewBlueprint(tenant, "", name, description, BODY))


def page(
    blueprints: PostgresBlueprints, tenant: str, limit: int = 100, offset: int = 0, **query: Any
) -> BlueprintsPage:
    return blueprints.find_page(BlueprintsQuery(tenant, Page(limit, offset), **query))


def names(found: BlueprintsPage) -> list[str]:
    return [each.name for each in found.blueprints]


def test_each_blueprint_is_listed_once_with_its_latest_version(blueprints: PostgresBlueprints, tenant: str) -> None:
    blueprint_id = create(blueprints, tenant, "web", "before")
    blueprints.change(tenant, blueprint_id, None, lambda _: Version("new", "after", BODY))
    found = page(blueprints, tenant)
    (item,) = found.blueprints
    assert (found.count, item.id, item.version, item.name, item.description) == (
        1,
        str(blueprint_id),
        2,
        "new",
        "after",
    )


def test_the_latest_changed_blueprint_comes_first(blueprints: PostgresBlueprints, tenant: str) -> None:
    first, *_ = [create(blueprints, tenant, name) for name in ("a", "b", "c")]
    assert names(page(blueprints, tenant)) == ["c", "b", "a"]
    blueprints.change(tenant, first, None, lambda _: Version("a", "", BODY))
    assert names(page(blueprints, tenant)) == ["a", "c", "b"]


def test_all_pages_together_have_every_blueprint_once_even_with_equal_times(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str
) -> None:
    for number in range(9):
        insert_blueprint(module_database, tenant, str(number), BODY)
    with session(module_database) as connection:
        connection.execute("UPDATE blueprint_versions SET created_at = '2025-01-01'")
    together = [name for offset in range(0, 9, 2) for name in names(page(blueprints, tenant, 2, offset))]
    assert sorted(together) == [str(number) for number in range(9)]


@pytest.mark.parametrize(
    ("limit", "offset", "shown"), [(2, 0, "ed"), (2, 2, "cb"), (2, 4, "a"), (2, 6, ""), (2, 2**31, "")]
)
def test_the_count_includes_all_matches_not_only_the_page(
    blueprints: PostgresBlueprints, tenant: str, limit: int, offset: int, shown: str
) -> None:
    for name in "abcde":
        create(blueprints, tenant, name)
    found = page(blueprints, tenant, limit, offset)
    assert (found.count, "".join(names(found))) == (5, shown)


SEARCHED = {
    "Web server": "",
    "database": "behind the WEB",
    "100%": "",
    "100 per cent": "",
    "a_b": "",
    "aXb": "",
    r"back\slash": "",
    "back/slash": "",
}


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("web", {"Web server", "database"}),
        ("WEB SERVER", {"Web server"}),
        ("behind", {"database"}),
        ("%", {"100%"}),
        ("0%", {"100%"}),
        ("_", {"a_b"}),
        ("A_B", {"a_b"}),
        ("\\", {r"back\slash"}),
        (r"k\S", {r"back\slash"}),
        ("\\%", set()),
        ("%web%", set()),
        (" ", {"Web server", "database", "100 per cent"}),
        ("nowhere", set()),
        ("'; --", set()),
    ],
)
def test_a_search_finds_literal_parts_of_name_or_description_in_any_case(
    blueprints: PostgresBlueprints, tenant: str, search: str, found: set[str]
) -> None:
    for name, description in SEARCHED.items():
        create(blueprints, tenant, name, description)
    matching = page(blueprints, tenant, search=search)
    assert set(names(matching)) == found
    assert matching.count == len(found)


def test_a_search_result_has_pages(blueprints: PostgresBlueprints, tenant: str) -> None:
    for name in ("web 1", "db", "web 2", "web 3"):
        create(blueprints, tenant, name)
    found = page(blueprints, tenant, 2, 2, search="web")
    assert (found.count, names(found)) == (3, ["web 1"])


def test_rows_without_a_description_are_searched_by_name(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str
) -> None:
    insert_blueprint(module_database, tenant, "web", BODY)
    assert names(page(blueprints, tenant, search="w")) == ["web"]
    assert names(page(blueprints, tenant, search="x")) == []


@pytest.mark.parametrize(("name", "found"), [("web", ["web"]), ("Web", []), ("we", []), ("w%", []), ("w_b", [])])
def test_a_name_is_matched_exactly(blueprints: PostgresBlueprints, tenant: str, name: str, found: list[str]) -> None:
    for each in ("web", "web 2"):
        create(blueprints, tenant, each)
    assert names(page(blueprints, tenant, name=name)) == found


def test_a_name_filter_takes_precedence_over_search_and_page(blueprints: PostgresBlueprints, tenant: str) -> None:
    create(blueprints, tenant, "web")
    found = page(blueprints, tenant, 1, 50, name="web", search="nowhere")
    assert (found.count, names(found)) == (1, ["web"])


def test_a_tenant_sees_only_its_own_blueprints(blueprints: PostgresBlueprints, tenant: str) -> None:
    create(blueprints, f"other-{tenant}", "web")
    assert page(blueprints, tenant) == BlueprintsPage(0, ())
    assert page(blueprints, tenant, name="web") == BlueprintsPage(0, ())
    assert page(blueprints, tenant, search="web") == BlueprintsPage(0, ())


def test_deleted_blueprints_are_never_found(blueprints: PostgresBlueprints, tenant: str) -> None:
    blueprint_id = create(blueprints, tenant, "web")
    blueprints.delete(tenant, blueprint_id, None)
    for query in ({}, {"name": "web"}, {"name": str(blueprint_id)}, {"search": "web"}, {"search": str(blueprint_id)}):
        assert page(blueprints, tenant, **query) == BlueprintsPage(0, ())
