"""Large requests in the history: their stored short forms, and how lists and single composes read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from hypothesis import HealthCheck, given, settings

from adapters.postgres import large_requests
from adapters.postgres.composes import PostgresComposes
from adapters.postgres.large_requests import LARGE
from adapters.postgres.migrate import migrate
from domain.compose.passwords import is_redacted, present_request
from domain.composes import ComposesQuery
from domain.paging import Page
from ports.memory import current_memory
from tests.support.builders import compose_request
from tests.support.databases import Parameters, query, session
from tests.support.large_requests import MiB, forms, history, listed, shown_in, with_files, without_data
from tests.support.memory import RecordedMemory, recorded_memory
from tests.support.plans import RecordingDatabase
from tests.support.rounds import repeated
from tests.support.rows import insert_blueprint_version, insert_compose, insert_final_status
from tests.support.stored_requests import stored_requests


@pytest.fixture(scope="module")
def composes(module_database: Parameters) -> Iterator[PostgresComposes]:
    with history(module_database) as found:
        yield found


@pytest.fixture
def memory() -> Iterator[RecordedMemory]:
    with recorded_memory() as account:
        yield account


# What is kept beside a request


def test_a_small_request_has_a_size_and_no_short_form(module_database: Parameters, tenant: str) -> None:
    compose = insert_compose(module_database, tenant)
    assert forms(module_database, compose) == (len(json.dumps(compose_request())), None, None)


def test_a_large_request_has_a_stored_form_without_the_contents_of_files(
    module_database: Parameters, tenant: str
) -> None:
    request = with_files(10_000, 20_000, packages=["p"])
    compose = insert_compose(module_database, tenant, request)
    assert forms(module_database, compose) == (len(json.dumps(request)), without_data(request), None)


def test_a_summary_omits_the_largest_customizations_first_and_is_small(
    module_database: Parameters, tenant: str
) -> None:
    packages, groups = ["p" * 100] * 1000, [{"name": "g" * 100}] * 80
    request = with_files(9, packages=packages, groups=groups, hostname="h")
    compose = insert_compose(module_database, tenant, request)
    _, without, summary = forms(module_database, compose)
    assert without == without_data(request)
    assert summary == {
        **request,
        "customizations": {"files": [{"path": "/etc/0"}], "groups": groups, "hostname": "h"},
    }


def test_a_summary_of_a_request_with_other_large_parts_names_the_image(
    module_database: Parameters, tenant: str
) -> None:
    options = {"share_with_accounts": ["123456789012"] * 2000}
    request = {
        **compose_request("aws", "aws", image={"upload_request": {"type": "aws", "options": options}}),
        "image_name": "n",
    }
    compose = insert_compose(module_database, tenant, {**request, "of_long_ago": "x" * 2000})
    _, without, summary = forms(module_database, compose)
    (image,) = request["image_requests"]
    assert without is None
    assert summary == {**request, "image_requests": [{**image, "upload_request": {"type": "aws", "options": {}}}]}


ODD: dict[str, Any] = {
    "a list": ["x" * LARGE],
    "a text": "x" * LARGE,
    "customizations that are none": {"customizations": ["x" * LARGE], "image_requests": "y" * LARGE},
    "files that are none": {"customizations": {"files": {"data": "x" * LARGE}}},
    "files that are texts": {"customizations": {"files": ["data", "x" * LARGE, None, {"data": 1}]}},
    "more files than are gone through": {"customizations": {"files": [{"data": "x"}] * 10_001}},
    "as many small parts as make it large": {f"key {number}": number for number in range(2000)},
    "image requests that are none": {"image_requests": [["x" * LARGE]]},
    "an upload that is none": {"image_requests": [{"upload_request": ["x" * LARGE], "image_type": None}]},
}


@pytest.mark.parametrize("name", ODD)
def test_a_large_request_of_any_shape_is_stored_listed_and_has_a_short_form(
    module_database: Parameters, composes: PostgresComposes, tenant: str, name: str
) -> None:
    compose = insert_compose(module_database, tenant, ODD[name])
    _, without, summary = forms(module_database, compose)
    smallest = without if summary is None else summary
    assert len(json.dumps(smallest)) <= LARGE
    (found,) = listed(composes, tenant)
    assert not found.shortened
    with history(module_database, largest_list=0) as narrow:
        (found,) = listed(narrow, tenant)
    assert found.shortened
    assert json.loads(found.request) == smallest


def test_a_request_that_cannot_be_converted_to_text_is_stored_and_does_not_break_lists(
    module_database: Parameters, composes: PostgresComposes, tenant: str
) -> None:
    good = insert_compose(module_database, tenant, ago=timedelta(hours=1))
    bad = insert_compose(module_database, tenant)
    with session(module_database) as connection:  # its text would have more than a gigabyte
        connection.execute(
            "UPDATE composes SET request = (SELECT jsonb_build_object('a', jsonb_agg(1e131071)) "
            "FROM generate_series(1, 8300)) WHERE job_id = %s",
            (bad,),
        )
    assert forms(module_database, bad) == (2**31 - 1, None, {})
    found = listed(composes, tenant)
    assert [(each.id, each.shortened) for each in found] == [(str(bad), True), (str(good), False)]
    assert shown_in(found) == [{}, compose_request()]


def test_a_request_changed_by_an_older_program_gets_new_short_forms(module_database: Parameters, tenant: str) -> None:
    compose = insert_compose(module_database, tenant, with_files(20_000))
    with session(module_database) as connection:
        connection.execute("UPDATE composes SET request = '{}' WHERE job_id = %s", (compose,))
    assert forms(module_database, compose) == (2, None, None)


def test_a_large_request_of_an_older_program_is_answered_without_its_passwords_and_nulls(
    module_database: Parameters, composes: PostgresComposes, tenant: str
) -> None:
    users = [{"name": "a", "password": "old-secret"}, {"name": "b", "password": "", "groups": None}, {"name": "c"}]
    request = with_files(20_000, users=users)
    compose = insert_compose(module_database, tenant, request)
    request["customizations"]["users"] = [
        {"name": "a", "hasPassword": True},
        {"name": "b", "hasPassword": False},
        {"name": "c", "hasPassword": False},
    ]
    kept = composes.get(tenant, compose)
    assert kept is not None
    assert isinstance(kept.request, bytes)
    assert json.loads(kept.request) == request
    assert shown_in(listed(composes, tenant)) == [request]
    size, without, _ = forms(module_database, compose)
    assert size == len(json.dumps(request)), "the larger one of both forms"
    assert without == without_data(request)


@settings(max_examples=repeated(50, 150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=stored_requests())
def test_the_database_hides_passwords_of_large_requests_as_the_service_does_of_small_ones(
    module_database: Parameters, request: dict[str, Any]
) -> None:
    text = json.dumps(request)
    ((found,),) = query(
        module_database,
        "SELECT COALESCE(compose_request_shown(%s::jsonb, %s::jsonb::text), %s::jsonb)",
        *[text] * 3,
    )
    assert orjson.loads(orjson.dumps(found)) == present_request(request)
    assert is_redacted(found)


# Lists


def test_a_page_within_the_limit_is_complete_for_requests_of_any_size(
    module_database: Parameters, composes: PostgresComposes, tenant: str
) -> None:
    requests = [with_files(size) for size in (MiB, 10, 20_000, 500_000)]
    for hours, request in enumerate(requests):
        insert_compose(module_database, tenant, request, ago=timedelta(hours=hours))
    found = listed(composes, tenant)
    assert shown_in(found) == requests
    assert not any(each.shortened for each in found)


def test_a_page_that_is_too_large_lacks_the_contents_of_the_largest_files_and_no_build(
    module_database: Parameters, composes: PostgresComposes, tenant: str
) -> None:
    requests = [with_files(size, packages=["p"]) for size in (MiB, 10, 900_000, 20_000, MiB + 5)]
    for hours, request in enumerate(requests):
        insert_compose(module_database, tenant, request, ago=timedelta(hours=hours))
    found = listed(composes, tenant)
    assert [each.shortened for each in found] == [False, False, False, False, True]
    assert shown_in(found) == [*requests[:4], without_data(requests[4])]


def test_further_customizations_are_omitted_if_the_page_is_still_too_large(
    module_database: Parameters, composes: PostgresComposes, tenant: str
) -> None:
    requests = [with_files(10, packages=["p" * (900_000 + number)]) for number in range(3)]
    for hours, request in enumerate(requests):
        insert_compose(module_database, tenant, request, ago=timedelta(hours=hours))
    found = listed(composes, tenant)
    assert [each.shortened for each in found] == [True, True, True]
    assert shown_in(found) == [
        without_data(requests[0]),
        without_data(requests[1]),
        {**requests[2], "customizations": {"files": [{"path": "/etc/0"}]}},
    ]


def test_the_composes_of_a_blueprint_are_shortened_in_the_same_way(
    module_database: Parameters, composes: PostgresComposes, tenant: str
) -> None:
    blueprint, version = insert_blueprint_version(module_database, tenant, 1)
    for _ in range(3):
        insert_compose(module_database, tenant, with_files(MiB), blueprint_version_id=version)
    found = listed(composes, tenant, blueprint=blueprint)
    assert sorted(each.shortened for each in found) == [False, True, True]


def without_sizes(parameters: Parameters, tenant: str) -> None:
    """Make rows look as if they were restored without triggers."""
    with session(parameters) as connection:
        connection.execute(
            "UPDATE composes SET request_size = NULL, request_shown = NULL, request_without_data = NULL, "
            "request_summary = NULL, request_as_shown = NULL WHERE org_id = %s",
            (tenant,),
        )


def test_requests_of_unknown_size_are_listed_complete_or_without_customizations(
    module_database: Parameters, composes: PostgresComposes, tenant: str
) -> None:
    requests = [
        with_files(10),
        with_files(10, packages=[str(uuid4()) for _ in range(100)]),
        with_files(50_000),  # less than 2,000 bytes as it is stored
        with_files(900_000, packages=[uuid4().hex for _ in range(100)]),
        with_files(10, packages=[uuid4().hex for _ in range(20_000)]),
        with_files(MiB),
    ]
    for hours, request in enumerate(requests):
        insert_compose(module_database, tenant, request, ago=timedelta(hours=hours))
    without_sizes(module_database, tenant)
    found = listed(composes, tenant)
    assert [each.shortened for each in found] == [False] * 5 + [True]
    requests[-1].pop("customizations")
    assert shown_in(found) == requests


@pytest.mark.parametrize("name", ODD)
def test_a_large_request_of_any_shape_and_unknown_size_is_listed_and_answered(
    module_database: Parameters, composes: PostgresComposes, tenant: str, name: str
) -> None:
    compose = insert_compose(module_database, tenant, ODD[name])
    without_sizes(module_database, tenant)
    assert shown_in(listed(composes, tenant)) == [ODD[name]]
    kept = composes.get(tenant, compose)
    assert kept is not None
    assert json.loads(kept.request) == ODD[name]
    with history(module_database, largest_list=0) as narrow:
        (found,) = listed(narrow, tenant)
    assert found.shortened
    assert len(found.request) <= LARGE


def test_a_migration_adds_sizes_to_earlier_large_requests(old_database: Parameters, tenant: str) -> None:
    large = with_files(50_000, packages=[uuid4().hex for _ in range(200)])
    composes = [insert_compose(old_database, tenant, large, ago=timedelta(hours=hours)) for hours in range(45)]
    long_ago = insert_compose(old_database, tenant, large, ago=timedelta(days=100))
    small = insert_compose(old_database, tenant, ago=timedelta(hours=50))
    migrate(old_database)
    assert {forms(old_database, compose)[0] for compose in composes} == {len(json.dumps(large))}
    assert forms(old_database, composes[0])[1] == without_data(large)
    assert [forms(old_database, compose)[0] for compose in (long_ago, small)] == [None, None]
    with history(old_database, 8 * MiB) as old:
        found = listed(old, tenant)
        kept = old.get(tenant, long_ago)
    assert shown_in(found) == [large] * 45 + [compose_request()]
    assert kept is not None
    assert json.loads(kept.request) == large


def test_no_statement_reads_more_than_a_batch(module_database: Parameters, tenant: str) -> None:
    for _ in range(7):
        insert_compose(module_database, tenant, with_files(MiB))
    database = RecordingDatabase(module_database)
    database.open()
    try:
        found = PostgresComposes(database, 8 * MiB).find_page(ComposesQuery(tenant, Page(100, 0)))
    finally:
        database.close()
    assert not any(each.shortened for each in found.composes)
    batches = [len(values["ids"]) for text, values in database.statements if text == large_requests._READ]
    assert batches == [3, 3, 1]


def test_an_ordinary_page_needs_no_additional_statement(module_database: Parameters, tenant: str) -> None:
    for _ in range(3):
        insert_compose(module_database, tenant, with_files(LARGE - 1000))
    database = RecordingDatabase(module_database)
    database.open()
    try:
        PostgresComposes(database).find_page(ComposesQuery(tenant, Page(100, 0)))
    finally:
        database.close()
    assert len(database.statements) == 1


# Memory


def test_memory_is_reserved_for_a_page(
    module_database: Parameters, composes: PostgresComposes, tenant: str, memory: RecordedMemory
) -> None:
    insert_compose(module_database, tenant, with_files(10_000))
    listed(composes, tenant)
    assert 30_000 < memory.reserved < 100_000
    memory.reserved = 0
    insert_compose(module_database, tenant, with_files(MiB))
    listed(composes, tenant)
    assert 3 * MiB < memory.reserved < 6 * MiB


def test_memory_is_reserved_before_a_large_request_is_read(
    module_database: Parameters, composes: PostgresComposes, tenant: str, memory: RecordedMemory
) -> None:
    small, large = (insert_compose(module_database, tenant, with_files(size)) for size in (1000, MiB))
    composes.get(tenant, small)
    assert memory.reserved == 0
    found = composes.get(tenant, large)
    assert found is not None
    assert json.loads(found.request) == with_files(MiB)
    assert 3 * MiB < memory.reserved < 6 * MiB
    memory.limit = MiB
    with pytest.raises(MemoryError):
        composes.get(tenant, large)


def test_memory_is_reserved_before_large_results_are_read(
    module_database: Parameters, composes: PostgresComposes, tenant: str, memory: RecordedMemory
) -> None:
    compose = insert_compose(module_database, tenant)
    details = ["log " * 1000] * 300
    status = {"status": "failure", "error": {"id": 1, "reason": "r", "details": details}}
    insert_final_status(module_database, compose, status)
    composes.store_metadata(compose, {"packages": details})
    found = composes.get(tenant, compose)
    assert found is not None
    assert found.status == status
    assert memory.reserved > 4 * MiB
    memory.reserved = 0
    metadata = composes.get_metadata(tenant, compose)
    assert metadata is not None
    assert json.loads(metadata.metadata or "") == {"packages": details}
    assert memory.reserved > 4 * MiB


def test_outside_a_request_nothing_is_reserved(
    module_database: Parameters, composes: PostgresComposes, tenant: str
) -> None:
    compose = insert_compose(module_database, tenant, with_files(MiB))
    assert current_memory.get() is None
    assert composes.get(tenant, compose) is not None
