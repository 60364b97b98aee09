"""Counts of lists and quotas equal a full count, whichever programs write builds; maintenance corrects them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from adapters.postgres.composes import PostgresComposes
from adapters.postgres.maintenance import open_maintenance
from adapters.postgres.starts import PostgresStarts
from domain.compose_filters import ComposeFilters
from domain.composes import ComposesQuery
from domain.paging import Page
from domain.quota import Quota, Usage
from tests.support import go_service
from tests.support.builders import compose_request
from tests.support.counts import check_counts, write_without_triggers, wrong_counts
from tests.support.databases import Parameters, query, session
from tests.support.pools import pool
from tests.support.rounds import SEED
from tests.support.rows import insert_compose, now
from tests.support.starts import is_granted, new_compose, new_start, new_starts, reserved

WINDOW = timedelta(days=14)
# Larger than any quota whose builds are read one by one.
LARGE = 1001
INSERT_MANY = """
INSERT INTO composes (job_id, request, created_at, account_number, org_id, deleted)
SELECT gen_random_uuid(), '{"image_requests": [{"image_type": "aws"}]}',
       (now() AT TIME ZONE 'utc') - n * %s::interval, '', %s, n %% 7 = 0
FROM generate_series(1, %s) n
"""
FULL_USAGE = """
WITH newest AS (
    SELECT created_at FROM (
        SELECT org_id, created_at FROM composes UNION ALL SELECT org_id, created_at FROM compose_starts
    ) builds
    WHERE org_id = %(tenant)s AND created_at > %(at)s - %(window)s AND created_at < %(at)s + interval '1 day'
    ORDER BY created_at DESC LIMIT %(limit)s
)
SELECT count(*), min(created_at) FROM newest
"""


def insert_many(database: Parameters, tenant: str, number: int, *, every: timedelta, triggers: bool = True) -> None:
    with session(database) as connection:
        if not triggers:
            write_without_triggers(connection)
        connection.execute(INSERT_MANY.encode(), (every, tenant, number))


def full_usage(database: Parameters, tenant: str, quota: Quota, at: datetime) -> Usage:
    with session(database) as connection:
        row = connection.execute(
            FULL_USAGE, {"tenant": tenant, "window": quota.window, "limit": quota.limit, "at": at}
        ).fetchone()
    assert row is not None
    return Usage(at, *row)


@pytest.fixture(scope="module")
def history(module_database: Parameters, starts: PostgresStarts) -> str:
    """An organization with 2,500 builds within 16 days, starts, and builds in the future and of damaged times."""
    tenant = uuid4().hex
    insert_many(module_database, tenant, 2_500, every=timedelta(minutes=9, seconds=13))
    for hours in (-2, -23, -25, -24 * 400):
        insert_compose(module_database, tenant, ago=timedelta(hours=hours))
    insert_compose(module_database, tenant, created_at="infinity")
    for _ in range(3):
        reserved(starts, tenant, None)
    return tenant


@pytest.mark.parametrize("limit", [LARGE, 1_500, 2_000, 2_190, 10_000])
@pytest.mark.parametrize(
    "window", [WINDOW, timedelta(days=11, minutes=7, seconds=3), timedelta(hours=30), timedelta(minutes=3)]
)
def test_the_usage_of_a_large_quota_equals_a_full_count(
    module_database: Parameters, starts: PostgresStarts, history: str, limit: int, window: timedelta
) -> None:
    quota = Quota(limit, window)
    usage = starts.get_usage(history, quota)
    assert usage == full_usage(module_database, history, quota, usage.at)
    assert usage.used > 0


@pytest.mark.parametrize("room", [0, 1, 3])
def test_a_large_quota_grants_exactly_what_remains(
    module_database: Parameters, starts: PostgresStarts, tenant: str, room: int
) -> None:
    insert_many(module_database, tenant, 1_200, every=timedelta(minutes=1))
    quota = Quota(1_200 + room, WINDOW)
    granted = [starts.reserve(new_starts(uuid4()), tenant, quota).granted for _ in range(room + 2)]
    assert granted == [True] * room + [False] * 2
    usage = starts.get_usage(tenant, quota)
    assert usage == full_usage(module_database, tenant, quota, usage.at)


@pytest.mark.parametrize("minutes", [0, 1, 19, 20, 21, 359, 360, 361, 1_000, 4_000])
def test_a_list_of_any_beginning_has_the_exact_count(
    module_database: Parameters, composes: PostgresComposes, history: str, minutes: int
) -> None:
    period = now().replace(hour=6, minute=0, second=0, microsecond=0) - timedelta(days=3)
    since = period + timedelta(minutes=minutes)
    found = composes.find_page(ComposesQuery(history, Page(1, 0), filters=ComposeFilters(created_after=since)))
    statement = "SELECT count(*) FROM composes WHERE org_id = %s AND NOT deleted AND created_at >= %s"
    assert [(found.count,)] == query(module_database, statement, history, since)


ONE = "job_id = (SELECT job_id FROM composes WHERE org_id = %(tenant)s OFFSET %(number)s LIMIT 1)"
# What an operator, the Go service and the maintenance do.
CHANGES = (
    f"UPDATE composes SET deleted = NOT deleted WHERE {ONE}",  # noqa: S608 - constants, as the next two
    f"UPDATE composes SET created_at = created_at - interval '7 hours' WHERE {ONE}",  # noqa: S608
    f"DELETE FROM composes WHERE {ONE}",  # noqa: S608
    "UPDATE composes SET deleted = true WHERE org_id = %(tenant)s AND created_at < now() - interval '1 hour'",
)


def random_of(number: int) -> Random:
    return Random(f"{SEED} {number}")  # noqa: S311 - no secret


def write_at_random(database: Parameters, tenant: str, random: Random) -> None:
    for _ in range(15):
        values = go_build(tenant, random.choice(("aws", "wsl")))
        go_service.write(database, values, go_service.INSERT_COMPOSE)
        with session(database) as connection:
            connection.execute(random.choice(CHANGES).encode(), {"tenant": tenant, "number": random.randrange(5)})


def go_build(tenant: str, image_type: str) -> dict[str, Any]:
    return {**go_service.row(tenant, "web", {}, compose_request(image_type)), "version": None}


def test_counts_stay_exact_while_many_programs_write_and_the_maintenance_compares_them(
    database: Parameters, tenant: str
) -> None:
    with pool(database, size=4) as opened, ThreadPoolExecutor(8) as threads:
        service = PostgresStarts(opened)

        def build(number: int) -> None:
            start = new_start(tenant=tenant)
            if is_granted(service, [start], tenant, Quota(LARGE, WINDOW)) and number % 3:
                service.record(start.id, uuid4(), new_compose(tenant))
            else:
                service.release([start.id])

        writers = [threads.submit(write_at_random, database, tenant, random_of(each)) for each in range(3)]
        builders = [threads.submit(build, number) for number in range(60)]
        corrected = threads.submit(correct, database)
        for each in (*writers, *builders):
            each.result()
        assert corrected.result() == {}
        assert wrong_counts(database) == []
        quota = Quota(LARGE, WINDOW)
        usage = service.get_usage(tenant, quota)
        assert usage == full_usage(database, tenant, quota, usage.at)


def correct(database: Parameters, *, dry_run: bool = False) -> dict[int, int]:
    """Let the maintenance correct the counts; return how many were wrong, by the number of the organization."""
    with open_maintenance(database, 24) as run:
        numbers: Iterator[int] = run.correct_counts(dry_run=dry_run)
        return {place: number for place, number in enumerate(numbers) if number}


@pytest.mark.parametrize("damage", ["restored", "entries", "counts", "removed"])
def test_maintenance_corrects_counts_and_entries_that_are_wrong(database: Parameters, tenant: str, damage: str) -> None:
    others = ("0", "z" * 40)
    for each in (*others, tenant):
        insert_many(database, each, 20, every=timedelta(hours=5))
    check_counts(database)
    with session(database) as connection:
        if damage == "counts":
            for table in ("compose_counts", "compose_fine_counts", "compose_quota_counts"):
                statement = f"UPDATE {table} SET count = count + 1 WHERE org_id = %s"  # noqa: S608 - a constant
                connection.execute(statement.encode(), (tenant,))
        else:
            write_without_triggers(connection)
            if damage == "entries":
                connection.execute("DELETE FROM compose_list_entries WHERE org_id = %s", (tenant,))
            if damage == "removed":
                connection.execute("DELETE FROM composes WHERE org_id = %s", (tenant,))
    if damage == "restored":
        insert_many(database, tenant, 20, every=timedelta(minutes=7), triggers=False)
    wrong = wrong_counts(database)
    assert wrong
    assert list(correct(database, dry_run=True)) == [1]
    assert wrong_counts(database) == wrong
    assert list(correct(database)) == [1]
    assert wrong_counts(database) == []
    assert correct(database) == {}


def test_a_repair_counts_nothing_twice_that_is_written_meanwhile(database: Parameters, tenant: str) -> None:
    insert_many(database, tenant, 300, every=timedelta(hours=1), triggers=False)
    with ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(write_at_random, database, tenant, random_of(each)) for each in range(3)]
        correct(database)
        for each in writers:
            each.result()
    # Builds that a writer had locked were left out.
    correct(database)
    assert wrong_counts(database) == []


def test_a_build_does_not_wait_for_the_transaction_of_another_one(database: Parameters, tenant: str) -> None:
    insert_compose(database, tenant)
    with session(database) as connection, connection.transaction():
        connection.execute("UPDATE composes SET deleted = true WHERE org_id = %s", (tenant,))
        values = go_build(tenant, "aws")
        connection.execute(go_service.INSERT_COMPOSE.encode(), values)
        with session(database) as another:
            another.execute("SET lock_timeout = '1ms'")
            another.execute(go_service.INSERT_COMPOSE.encode(), {**values, "compose": uuid4()})
    assert wrong_counts(database) == []


def test_an_emptied_table_of_builds_counts_nothing(database: Parameters, tenant: str) -> None:
    insert_many(database, tenant, 20, every=timedelta(hours=5))
    with session(database) as connection:
        connection.execute("TRUNCATE composes CASCADE")
    assert wrong_counts(database) == []
    assert query(database, "SELECT count(*) FROM compose_quota_counts") == [(0,)]
