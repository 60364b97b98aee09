"""The history of composes, on a real PostgreSQL."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from adapters.postgres.composes import PostgresComposes
from adapters.postgres.connection import PostgresDatabase
from domain.composes import ComposesPage, ComposesQuery
from domain.errors import UnavailableError
from domain.paging import Page
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.rows import insert_blueprint_version, insert_compose, insert_final_status, now, stored_row

MINUTE = timedelta(minutes=1)


def page(
    composes: PostgresComposes, tenant: str, limit: int = 100, offset: int = 0, ignored: tuple[str, ...] = ()
) -> ComposesPage:
    return composes.find_page(ComposesQuery(tenant, Page(limit, offset), ignored))


def ids(found: ComposesPage) -> list[UUID]:
    return [UUID(compose.id) for compose in found.composes]


def test_the_newest_compose_comes_first(composes: PostgresComposes, module_database: Parameters, tenant: str) -> None:
    middle, newest, oldest = (insert_compose(module_database, tenant, ago=n * MINUTE) for n in (2, 1, 3))
    assert ids(page(composes, tenant)) == [newest, middle, oldest]


def test_all_pages_together_have_every_compose_once_even_with_equal_times(
    composes: PostgresComposes, module_database: Parameters, tenant: str
) -> None:
    at_once = now()
    made = {insert_compose(module_database, tenant, created_at=at_once) for _ in range(9)}
    together = [each for offset in range(0, 9, 2) for each in ids(page(composes, tenant, 2, offset))]
    assert len(together) == 9
    assert set(together) == made


def test_all_pages_without_ignored_types_together_are_complete_at_every_offset(
    composes: PostgresComposes, module_database: Parameters, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = now() - timedelta(hours=1)
    for number in range(24):
        request = {"image_requests": [{"image_type": ("aws", "wsl", "gcp", "")[number % 4]}]}
        insert_compose(module_database, tenant, request, created_at=at + timedelta(seconds=number // 6))
    monkeypatch.setattr("adapters.postgres.composes._REACH_BY_TYPE", 0)
    whole = page(composes, tenant, ignored=("wsl",))
    assert (whole.count, len(whole.composes)) == (18, 18)
    monkeypatch.setattr("adapters.postgres.composes._REACH_BY_TYPE", 10)
    together = [each for offset in range(0, 18, 5) for each in page(composes, tenant, 5, offset, ("wsl",)).composes]
    assert together == list(whole.composes)


def test_the_count_includes_all_matches_not_only_the_page(
    composes: PostgresComposes, module_database: Parameters, tenant: str
) -> None:
    for _ in range(5):
        insert_compose(module_database, tenant)
    found = page(composes, tenant, limit=2, offset=4)
    assert (found.count, len(found.composes)) == (5, 1)


def test_a_page_past_the_end_is_empty_and_has_the_count(
    composes: PostgresComposes, module_database: Parameters, tenant: str
) -> None:
    insert_compose(module_database, tenant)
    assert page(composes, tenant, offset=10) == ComposesPage(1, ())
    assert page(composes, tenant, offset=2**31) == ComposesPage(1, ())


def test_a_tenant_without_composes_has_an_empty_list(composes: PostgresComposes, tenant: str) -> None:
    assert page(composes, tenant) == ComposesPage(0, ())


def test_the_list_goes_back_14_days(composes: PostgresComposes, module_database: Parameters, tenant: str) -> None:
    inside = insert_compose(module_database, tenant, ago=timedelta(days=14) - MINUTE)
    insert_compose(module_database, tenant, ago=timedelta(days=14) + MINUTE)
    assert page(composes, tenant).count == 1
    assert ids(page(composes, tenant)) == [inside]


def test_an_older_compose_is_found_by_its_id(
    composes: PostgresComposes, module_database: Parameters, tenant: str
) -> None:
    compose = insert_compose(module_database, tenant, ago=timedelta(days=2000))
    assert composes.get(tenant, compose) is not None


def test_deleted_composes_are_hidden_and_keep_their_row(
    composes: PostgresComposes, module_database: Parameters, tenant: str
) -> None:
    compose = insert_compose(module_database, tenant)
    assert composes.delete(tenant, compose)
    assert page(composes, tenant) == ComposesPage(0, ())
    assert composes.get(tenant, compose) is None
    assert stored_row(module_database, compose)["deleted"] is True


def test_deleting_a_compose_again_succeeds(
    composes: PostgresComposes, module_database: Parameters, tenant: str
) -> None:
    compose = insert_compose(module_database, tenant, deleted=True)
    assert composes.delete(tenant, compose)


def test_an_unknown_compose_cannot_be_deleted(composes: PostgresComposes, tenant: str) -> None:
    assert not composes.delete(tenant, uuid4())


def test_a_tenant_sees_and_deletes_only_its_own_composes(
    composes: PostgresComposes, module_database: Parameters, tenant: str
) -> None:
    compose = insert_compose(module_database, "somebody-else-" + tenant)
    assert page(composes, tenant) == ComposesPage(0, ())
    assert composes.get(tenant, compose) is None
    assert not composes.delete(tenant, compose)
    assert stored_row(module_database, compose)["deleted"] is False


def test_image_types_are_ignored_by_the_name_in_the_request(
    composes: PostgresComposes, module_database: Parameters, tenant: str
) -> None:
    kept = [
        insert_compose(module_database, tenant, compose_request(image_type), ago=n * MINUTE)
        for n, image_type in enumerate(["aws", "guest-image", "no-longer-known"])
    ]
    for image_type in ("ami", "edge-commit"):
        insert_compose(module_database, tenant, compose_request(image_type))
    found = page(composes, tenant, ignored=("ami", "edge-commit"))
    assert found.count == 3
    assert ids(found) == kept


def test_a_listed_compose_names_its_blueprint_and_version(
    composes: PostgresComposes, module_database: Parameters, tenant: str
) -> None:
    blueprint, version_3 = insert_blueprint_version(module_database, tenant, 3)
    insert_compose(module_database, tenant, blueprint_version_id=version_3)
    (listed,) = page(composes, tenant).composes
    assert (listed.blueprint_id, listed.blueprint_version) == (str(blueprint), 3)


OLD_REQUESTS: list[Any] = [
    {},
    [],
    "text",
    {"image_requests": None},
    {"image_requests": []},
    {"image_requests": {}},
    {"image_requests": [{"image_type": 7}]},
    {"image_requests": [{"image_type": None}], "customizations": {"users": [{"name": "u", "password": "p"}]}},
]


@pytest.mark.parametrize("ignored", [(), ("ami",)])
def test_rows_of_any_shape_are_listed(
    composes: PostgresComposes, module_database: Parameters, tenant: str, ignored: tuple[str, ...]
) -> None:
    for request in OLD_REQUESTS:
        insert_compose(module_database, tenant, request)
    listed = [json.loads(each.request) for each in page(composes, tenant, ignored=ignored).composes]
    assert listed == OLD_REQUESTS[::-1]


def test_a_row_with_required_columns_only_is_listed(
    composes: PostgresComposes, module_database: Parameters, tenant: str
) -> None:
    insert_compose(module_database, tenant)
    (listed,) = page(composes, tenant).composes
    assert (listed.image_name, listed.client_id, listed.blueprint_id, listed.blueprint_version) == (None,) * 4


def test_metadata_is_stored_without_nul_characters(
    composes: PostgresComposes, module_database: Parameters, tenant: str
) -> None:
    compose_id = insert_compose(module_database, tenant, compose_request())
    insert_final_status(module_database, compose_id, {"status": "success"})
    composes.store_metadata(compose_id, {"packages": [{"name": "bash\0"}]})
    kept_metadata = composes.get_metadata(tenant, compose_id)
    assert kept_metadata is not None
    assert kept_metadata.ended
    assert json.loads(kept_metadata.metadata or "") == {"packages": [{"name": "bash"}]}


def test_an_unavailable_database_raises_an_unavailable_error(database: Parameters, tenant: str) -> None:
    pool = PostgresDatabase({**database, "port": 1}, size=1)
    pool.open()
    try:
        with pytest.raises(UnavailableError):
            page(PostgresComposes(pool), tenant)
    finally:
        pool.close()
