"""Maintenance of the tables on a real PostgreSQL (docs/operations.md, Maintenance)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from adapters.postgres import maintenance
from adapters.postgres.maintenance import open_maintenance
from domain.compose.passwords import is_redacted, present_request
from domain.errors import ConfigurationError, UnavailableError
from ports.maintenance import MaintenanceRunningError
from tests.support.builders import compose_request
from tests.support.databases import Parameters, locks_of_others, session
from tests.support.old_composes import OLD, insert_many
from tests.support.rows import insert_blueprint_version, insert_compose, now, stored_row
from tests.support.waiting import PATIENCE

MONTHS = 24
SECRET = "correct horse battery"


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "BATCH", 10)


def count(database: Parameters) -> int:
    return int(scalar(database, "SELECT count(*) FROM composes"))


def scalar(database: Parameters, statement: str, *values: object) -> Any:
    with session(database) as connection:
        row = connection.execute(statement.encode(), values or None).fetchone()
    assert row is not None
    return row[0]


def removed(database: Parameters, months: int = MONTHS) -> list[int]:
    """The number of composes that each batch removed."""
    with open_maintenance(database, months) as ours:
        return list(ours.expire_composes(dry_run=False))


def cleaned(database: Parameters) -> list[int]:
    """The number of composes that each batch changed."""
    with open_maintenance(database, MONTHS) as ours:
        return list(ours.redact_passwords(dry_run=False))


@contextmanager
def held(database: Parameters, compose: UUID) -> Iterator[None]:
    """Another transaction holds a lock on this compose during the context."""
    with psycopg.connect(**database) as connection:
        connection.execute("SELECT 1 FROM composes WHERE job_id = %s FOR UPDATE", (compose,))
        yield


def with_users(*users: Any) -> dict[str, Any]:
    return {**compose_request(), "customizations": {"packages": ["vim"], "users": list(users)}}


def request_of(database: Parameters, compose: UUID) -> Any:
    return stored_row(database, compose)["request"]


def test_a_compose_is_removed_after_the_calendar_months_of_the_retention_and_not_before(database: Parameters) -> None:
    with open_maintenance(database, MONTHS) as ours:
        cutoff = datetime.fromisoformat(ours.cutoff)
        older = insert_compose(database, "t", created_at=cutoff - timedelta(microseconds=1))
        exactly = insert_compose(database, "t", created_at=cutoff)
        assert sum(ours.expire_composes(dry_run=False)) == 1
    assert count(database) == 1
    assert stored_row(database, exactly)["job_id"] != older


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("months", [1, 13, 24])
def test_months_are_calendar_months_in_utc_in_every_time_zone(database: Parameters, zone: str, months: int) -> None:
    with session(database) as connection:
        connection.execute(f"ALTER DATABASE {database['dbname']} SET timezone TO '{zone}'".encode())
    before = now()
    with open_maintenance(database, months) as ours:
        cutoff = datetime.fromisoformat(ours.cutoff)
    # Both differ in their days around midnight.
    assert any(is_months_before(moment, cutoff, months) for moment in (before, now()))


def is_months_before(moment: datetime, cutoff: datetime, months: int) -> bool:
    """Whether the cutoff is this number of calendar months before the moment, give or take a minute."""
    time_of_day = abs((cutoff.replace(moment.year, 1, 1) - moment.replace(month=1, day=1)).total_seconds())
    return (
        cutoff.year * 12 + cutoff.month == moment.year * 12 + moment.month - months
        and cutoff.day in {moment.day, *range(28, moment.day)}
        and time_of_day < 60
    )


@pytest.mark.parametrize("together", [1, 35])
def test_batches_are_limited_and_find_all_rows_even_with_equal_times(database: Parameters, together: int) -> None:
    insert_many(database, 35, together=together)
    kept = insert_compose(database, "t")
    assert removed(database) == [10, 10, 10, 5]
    assert count(database) == 1
    assert stored_row(database, kept)


def test_composes_with_times_that_python_cannot_represent_are_removed_too(database: Parameters) -> None:
    for when in ("-infinity", "0044-03-15 12:00:00 BC"):
        scalar(
            database,
            "INSERT INTO composes (job_id, request, created_at, account_number, org_id) "
            "VALUES (gen_random_uuid(), '{}', %s, '', 't') RETURNING 1",
            when,
        )
    insert_many(database, 10)
    assert removed(database) == [10, 2]


def test_each_batch_is_committed_separately(database: Parameters) -> None:
    insert_many(database, 35)
    with open_maintenance(database, MONTHS) as ours:
        assert next(ours.expire_composes(dry_run=False)) == 10
    assert count(database) == 25


def test_a_dry_run_has_the_same_counts_and_changes_nothing(database: Parameters) -> None:
    insert_many(database, 25)
    insert_many(database, 15, request=with_users({"name": "u", "password": SECRET}), ago=timedelta(days=1))
    before = scalar(database, "SELECT md5(string_agg(c::text, ',' ORDER BY job_id)) FROM composes c")
    with open_maintenance(database, MONTHS) as ours:
        assert list(ours.expire_composes(dry_run=True)) == [10, 10, 5]
        assert sum(ours.redact_passwords(dry_run=True)) == 15
    assert scalar(database, "SELECT md5(string_agg(c::text, ',' ORDER BY job_id)) FROM composes c") == before


def test_blueprints_stay_when_all_their_composes_are_removed(database: Parameters) -> None:
    _, version = insert_blueprint_version(database, "t", 1)
    insert_compose(database, "t", ago=OLD, blueprint_version_id=version)
    assert removed(database) == [1]
    assert (
        scalar(database, "SELECT count(*) FROM blueprints JOIN blueprint_versions ON blueprint_id = blueprints.id") == 1
    )


@pytest.mark.parametrize(
    "users",
    [
        [{"name": "u", "password": SECRET, "ssh_key": "key", "groups": ["wheel"]}],
        [{"name": "u", "password": f"$6$salt${SECRET}"}, {"name": "v", "ssh_key": "key"}],
        [{"name": "u", "password": "", "hasPassword": True}],
        [{"name": "u", "password": SECRET, "hasPassword": False}],
        [{"name": "u", "password": None, "hasPassword": True}],
        [{"name": "u", "password": None}, {"name": "v", "password": SECRET}],
        [{"name": "u", "hasPassword": True}, {"name": "v", "password": SECRET}],
        [{"name": "u", "hasPassword": "yes"}, {"name": "v", "password": SECRET}],
        [{"name": "u", "password": {"hidden": SECRET}}, {"name": "v", "password": {}}],
        [{"name": "u", "password": 0}, {"name": "v", "password": False}, {"name": "w", "password": [1]}],
    ],
)
def test_a_password_is_removed_from_the_row_and_the_compose_is_answered_as_before(
    database: Parameters, users: list[dict[str, Any]]
) -> None:
    request = with_users(*users)
    compose = insert_compose(database, "t", request)
    assert cleaned(database) == [1]
    kept = request_of(database, compose)
    assert SECRET not in str(kept)
    assert is_redacted(kept)
    assert present_request(kept) == present_request(request)


def test_the_rest_of_the_row_stays_unchanged_to_the_last_digit(database: Parameters) -> None:
    others = (
        '{"a": null, "b": 1.000000000000000000000000001, "c": 1e400, "d": [null, {"password": "of something else"}]}'
    )
    users = '[null, 7, {"name": "u", "password": "x", "groups": null}]'
    row = f'{{"customizations": {{"users": {users}, "more": {others}}}, "rest": {others}}}'
    compose = insert_compose(database, "t", image_name="mine", email="u@example.com", client_id="ui")
    scalar(database, "UPDATE composes SET request = %s::jsonb WHERE job_id = %s RETURNING 1", row, compose)
    before = stored_row(database, compose)
    cleaned(database)
    wanted = row.replace('"password": "x"', '"hasPassword": true')
    assert scalar(database, "SELECT request = %s::jsonb FROM composes", wanted)
    assert scalar(database, "SELECT request::text = %s::jsonb::text FROM composes", wanted)
    after = stored_row(database, compose)
    for column in before.keys() - {"request", "request_size", "as_text"}:
        assert after[column] == before[column]


@pytest.mark.parametrize(
    "request_",
    [
        {},
        [],
        "text",
        {"customizations": None},
        {"customizations": {"users": None}},
        {"customizations": {"users": []}},
        {"customizations": {"users": [[{"password": "nested"}], "password", None]}},
        {"customizations": {"users": {"password": "of no array"}}},
        {"customizations": [{"users": [{"password": "of no object"}]}]},
        {"customizations": {"users": [{"name": "u", "hasPassword": True}]}},
        {"customizations": {"files": [{"password": "of no user"}]}, "password": "of nobody"},
    ],
)
def test_a_row_without_passwords_is_not_changed(database: Parameters, request_: Any) -> None:
    compose = insert_compose(database, "t")
    scalar(database, "UPDATE composes SET request = %s WHERE job_id = %s RETURNING 1", Jsonb(request_), compose)
    row = scalar(database, "SELECT xmin::text FROM composes")
    assert cleaned(database) == [0]
    assert scalar(database, "SELECT xmin::text FROM composes") == row


def test_passwords_are_found_once_among_many_rows(database: Parameters) -> None:
    insert_many(database, 25, ago=timedelta(days=2), together=25)
    insert_many(database, 15, request=with_users({"name": "u", "password": SECRET}), ago=timedelta(days=1))
    assert cleaned(database) == [0, 0, 5, 10, 0]
    assert sum(cleaned(database)) == 0
    assert scalar(database, "SELECT count(*) FROM composes WHERE request::text LIKE %s", f"%{SECRET}%") == 0


def test_blueprints_keep_their_password_hashes(database: Parameters) -> None:
    insert_blueprint_version(database, "t", 1)
    body = {"customizations": {"users": [{"name": "u", "password": "$6$salt$hash"}]}}
    scalar(database, "UPDATE blueprint_versions SET body = %s RETURNING 1", Jsonb(body))
    cleaned(database)
    assert scalar(database, "SELECT body FROM blueprint_versions") == body


def test_a_locked_row_is_skipped_and_removed_by_the_next_run(database: Parameters) -> None:
    insert_many(database, 12)
    busy = insert_compose(database, "t", ago=OLD + timedelta(days=1))
    with held(database, busy):
        assert removed(database) == [10, 2]
    assert removed(database) == [1]


def test_a_password_in_a_locked_row_is_removed_by_the_next_run(database: Parameters) -> None:
    busy = insert_compose(database, "t", with_users({"name": "u", "password": SECRET}))
    with held(database, busy):
        assert cleaned(database) == [0]
    assert cleaned(database) == [1]


def test_between_batches_nothing_is_locked(database: Parameters) -> None:
    insert_many(database, 15)
    insert_many(database, 15, request=with_users({"name": "u", "password": SECRET}), ago=timedelta(days=1))
    with open_maintenance(database, MONTHS) as ours, session(database) as connection:
        for batches in (ours.expire_composes(dry_run=False), ours.redact_passwords(dry_run=False)):
            next(batches)
            assert locks_of_others(connection, "composes") == 0
            scalar(database, "SELECT count(*) FROM (SELECT 1 FROM composes FOR UPDATE NOWAIT) everything")


def test_a_second_concurrent_run_raises_an_error(database: Parameters) -> None:
    with (
        open_maintenance(database, MONTHS),
        pytest.raises(MaintenanceRunningError, match="Another maintenance"),
        open_maintenance(database, MONTHS),
    ):
        pass
    with open_maintenance(database, MONTHS) as ours:
        assert ours.cutoff


def test_a_database_without_the_index_is_not_maintained(database: Parameters) -> None:
    with session(database) as connection:
        connection.execute("DROP INDEX composes_created_at_job_id_idx")
    with pytest.raises(ConfigurationError, match="migrate"), open_maintenance(database, MONTHS):
        pass


def test_an_unavailable_database_raises_an_unavailable_error(database: Parameters) -> None:
    with pytest.raises(UnavailableError), open_maintenance({**database, "port": 1}, MONTHS):
        pass


def test_a_database_that_becomes_unavailable_ends_the_run(database: Parameters) -> None:
    insert_many(database, 25)

    def run() -> None:
        with open_maintenance(database, MONTHS) as ours:
            batches = ours.expire_composes(dry_run=False)
            next(batches)
            scalar(
                database,
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            list(batches)

    with pytest.raises(UnavailableError):
        run()
    assert count(database) == 15


def test_the_space_of_removed_composes_is_reused(database: Parameters) -> None:
    insert_many(database, 200)
    with open_maintenance(database, MONTHS) as ours:
        list(ours.expire_composes(dry_run=False))
        assert ours.vacuum(lambda: False)
    vacuumed = "SELECT vacuum_count > 0 AND analyze_count > 0 FROM pg_stat_user_tables WHERE relname = 'composes'"
    deadline = time.monotonic() + PATIENCE
    while not scalar(database, vacuumed):  # the statistics come some time after
        assert time.monotonic() < deadline, "neither vacuumed nor analysed"
        time.sleep(0.05)


def test_a_waiting_vacuum_is_cancelled_at_the_time_limit(database: Parameters) -> None:
    with psycopg.connect(**database) as connection:
        connection.execute("LOCK TABLE composes IN SHARE UPDATE EXCLUSIVE MODE")
        ends = time.monotonic() + 0.3
        with open_maintenance(database, MONTHS) as ours:
            assert not ours.vacuum(lambda: time.monotonic() > ends)


@pytest.fixture(scope="module")
def large(module_database: Parameters) -> Parameters:
    """A table that should not be read sequentially: half of its rows are too old. Lists of builds are not kept."""
    for ago in (OLD, timedelta(days=300)):
        insert_many(module_database, 10_000, request=compose_request(), ago=ago, triggers=False)
    with session(module_database) as connection:
        connection.execute("VACUUM ANALYZE composes")
    return module_database


@pytest.mark.parametrize("statement", ["COUNT_EXPIRED", "REMOVE_EXPIRED", "COUNT_PASSWORDS", "REDACT_PASSWORDS"])
@pytest.mark.parametrize("known", [True, False], ids=["analysed", "never analysed"])
def test_an_index_finds_the_rows_of_every_batch(large: Parameters, statement: str, known: bool) -> None:
    values = {"cutoff": now() - timedelta(days=730), "time": now() - OLD, "id": UUID(int=0), "size": 1000}
    with open_maintenance(large, MONTHS) as ours, ours._session.transaction(force_rollback=True):
        if not known:
            ours._session.execute("DELETE FROM pg_statistic WHERE starelid = 'composes'::regclass")
        explain = f"EXPLAIN (FORMAT JSON) {getattr(maintenance, statement)}"
        ((plan,),) = ours._session.execute(explain.encode(), values).fetchall()
    scans = list(scans_of_composes(plan[0]["Plan"]))
    assert scans
    assert {scan["Node Type"] for scan in scans} <= {"Index Scan", "Index Only Scan", "ModifyTable"}
    assert "composes_created_at_job_id_idx" in {scan.get("Index Name") for scan in scans}


def scans_of_composes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The nodes of a plan that read the table."""
    if plan.get("Relation Name") == "composes":
        yield plan
    for part in plan.get("Plans", ()):
        yield from scans_of_composes(part)


def test_starts_as_old_as_removed_composes_are_removed_and_younger_ones_stay(database: Parameters) -> None:
    with session(database) as connection:
        for ago in (OLD, timedelta(days=30)):
            connection.execute(
                "INSERT INTO compose_starts (id, org_id, created_at) VALUES (%s, '1', %s)", (uuid4(), now() - ago)
            )
    with open_maintenance(database, MONTHS) as ours:
        assert sum(ours.expire_starts(dry_run=True)) == 1
        assert sum(ours.expire_starts(dry_run=False)) == 1
    assert scalar(database, "SELECT count(*) FROM compose_starts") == 1


def test_idempotency_keys_are_removed_after_a_day_in_batches(database: Parameters) -> None:
    insert = """
        INSERT INTO idempotency_keys (id, org_id, path, key, body, created_at)
        SELECT gen_random_uuid(), '1', '/compose', %(age)s || n::text, '', %(made)s FROM generate_series(1, 25) n
    """
    with session(database) as connection:
        for age in (timedelta(hours=23), timedelta(hours=25)):
            connection.execute(insert, {"age": str(age), "made": now() - age})
    with open_maintenance(database, MONTHS) as ours:
        assert list(ours.expire_keys(dry_run=False)) == [10, 10, 5]
    assert scalar(database, "SELECT count(*) FROM idempotency_keys") == 25
