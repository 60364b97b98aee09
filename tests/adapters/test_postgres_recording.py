"""A reserved start is recorded as a build once, whatever ids the composer answers, on a real PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from adapters.postgres.abandoned_starts import PostgresAbandonedStarts
from adapters.postgres.starts import PostgresStarts
from domain.errors import BuildIdTakenError
from domain.starts import Adoption
from tests.support.databases import Parameters
from tests.support.pools import pool
from tests.support.rows import counts, insert_compose, now, stored_row
from tests.support.starts import new_compose, new_start, reserved


def test_a_recorded_start_becomes_a_compose_with_all_its_values(
    module_database: Parameters, starts: PostgresStarts, tenant: str
) -> None:
    compose_id = uuid4()
    starts.record(reserved(starts, tenant, None), compose_id, new_compose(tenant, "mine"))
    row = stored_row(module_database, compose_id)
    row.pop("as_text")
    created_at = row.pop("created_at")
    assert abs(created_at - now()) < timedelta(seconds=30)
    assert row == {
        "job_id": compose_id,
        "request": {"image_requests": [{"a": 1}]},
        "account_number": "7",
        "org_id": tenant,
        "image_name": "mine",
        "deleted": False,
        "email": "u@example.com",
        "client_id": "ui",
        "blueprint_version_id": None,
        "image_type": "",
        "request_size": len('{"image_requests": [{"a": 1}]}'),
        "request_shown": None,
        "request_without_data": None,
        "request_summary": None,
        "request_as_shown": True,
    }
    assert counts(module_database, tenant) == (1, 0)


def test_recording_twice_changes_nothing(module_database: Parameters, starts: PostgresStarts, tenant: str) -> None:
    start, compose_id = reserved(starts, tenant, None), uuid4()
    starts.record(start, compose_id, new_compose(tenant, "first"))
    before = stored_row(module_database, compose_id)
    starts.record(start, compose_id, new_compose(tenant, "second"))
    assert stored_row(module_database, compose_id) == before
    assert counts(module_database, tenant) == (1, 0)


# Ids that the composer has used before


def test_recording_with_the_id_of_another_build_changes_nothing(
    module_database: Parameters, starts: PostgresStarts, tenant: str
) -> None:
    theirs = insert_compose(module_database, uuid4().hex, {"image_requests": [{"a": 1}]})
    before = stored_row(module_database, theirs)
    start = reserved(starts, tenant, None)
    for _ in range(2):
        with pytest.raises(BuildIdTakenError):
            starts.record(start, theirs, new_compose(tenant))
    assert stored_row(module_database, theirs) == before
    assert counts(module_database, tenant) == (0, 1)
    starts.record(start, uuid4(), new_compose(tenant))
    assert counts(module_database, tenant) == (1, 0)


def test_a_start_does_not_get_the_build_of_an_earlier_start_of_an_equal_request(
    module_database: Parameters, starts: PostgresStarts, tenant: str
) -> None:
    first, second, compose_id = reserved(starts, tenant, None), reserved(starts, tenant, None), uuid4()
    starts.record(first, compose_id, new_compose(tenant))
    with pytest.raises(BuildIdTakenError):
        starts.record(second, compose_id, new_compose(tenant))
    starts.record(first, compose_id, new_compose(tenant))
    assert counts(module_database, tenant) == (1, 1)


@pytest.mark.parametrize("theirs", [{"tenant": "another"}, {"request": {"image_requests": [{"a": 2}]}}], ids=repr)
def test_a_start_that_no_longer_exists_does_not_take_another_build(
    module_database: Parameters, starts: PostgresStarts, tenant: str, theirs: dict[str, Any]
) -> None:
    compose_id, start = uuid4(), reserved(starts, tenant, None)
    starts.record(uuid4(), compose_id, replace(new_compose(tenant), **theirs))
    starts.release([start])
    before = stored_row(module_database, compose_id)
    with pytest.raises(BuildIdTakenError):
        starts.record(start, compose_id, new_compose(tenant))
    assert stored_row(module_database, compose_id) == before


def test_an_adopted_build_may_be_recorded_again(
    module_database: Parameters, starts: PostgresStarts, tenant: str
) -> None:
    compose_id, start = uuid4(), new_start(tenant=tenant)
    starts.reserve([start], tenant, None)
    with pool(module_database, size=10) as opened:
        assert PostgresAbandonedStarts(opened).adopt(Adoption(start.id, compose_id))
    starts.record(start.id, compose_id, start.compose)
    assert counts(module_database, tenant) == (1, 0)


def test_of_concurrent_starts_with_one_build_id_one_is_recorded(
    module_database: Parameters, starts: PostgresStarts, tenant: str
) -> None:
    pending, compose_id, gate = [reserved(starts, tenant, None) for _ in range(8)], uuid4(), threading.Barrier(8)

    def recorded(start: UUID) -> bool:
        gate.wait()
        try:
            starts.record(start, compose_id, new_compose(tenant))
        except BuildIdTakenError:
            return False
        return True

    with ThreadPoolExecutor(8) as callers:
        assert list(callers.map(recorded, pending)).count(True) == 1
    assert counts(module_database, tenant) == (1, 7)


def test_all_concurrent_attempts_to_record_one_start_succeed(
    module_database: Parameters, starts: PostgresStarts, tenant: str
) -> None:
    start, compose_id = reserved(starts, tenant, None), uuid4()
    with ThreadPoolExecutor(8) as callers:
        list(callers.map(lambda _: starts.record(start, compose_id, new_compose(tenant)), range(8)))
    assert counts(module_database, tenant) == (1, 0)


def test_a_recorded_build_is_reported_as_recorded(
    module_database: Parameters, starts: PostgresStarts, tenant: str
) -> None:
    assert starts.is_recorded(insert_compose(module_database, tenant, deleted=True))
    assert not starts.is_recorded(uuid4())
