"""Migrating a new or an older database, on a real PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from adapters.postgres.composes import PostgresComposes
from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.migrate import migrate
from adapters.postgres.migration_files import migrations
from adapters.postgres.starts import PostgresStarts
from domain.composes import ComposesQuery, NewCompose
from domain.errors import ConfigurationError, UnavailableError
from domain.paging import Page
from domain.quota import Quota
from tests.support.databases import Parameters, query, session
from tests.support.schema import ADDED, TABLES_OF_TERN, columns, indexes
from tests.support.starts import new_starts
from tests.support.waiting import PATIENCE, until

INDEX = "composes_org_id_created_at_idx"


def rows(parameters: Parameters) -> dict[str, list[Any]]:
    """The rows of the tern tables, without the columns that this service adds."""
    added = [column for _, column in ADDED]
    return {
        table: query(parameters, f"SELECT to_jsonb(t) - %s::text[] FROM {table} t ORDER BY t::text", added)  # noqa: S608
        for table in TABLES_OF_TERN
    }


def index_is_valid(parameters: Parameters) -> bool:
    found = query(parameters, "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", INDEX)
    return found == [(True,)]


def index_migration() -> int:
    (number,) = [migration.number for migration in migrations() if migration.concurrent_index == INDEX]
    return number


@contextmanager
def an_old_snapshot(parameters: Parameters) -> Iterator[None]:
    """A transaction for which a concurrent index build must wait."""
    with psycopg.connect(**parameters) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT count(*) FROM pg_class")
        yield


def test_older_rows_are_not_changed(old_database: Parameters) -> None:
    before = rows(old_database)
    migrate(old_database)
    assert rows(old_database) == before


@pytest.mark.parametrize(("version", "advice"), [(14, "old program"), (1, "old program"), (16, "newer"), (99, "newer")])
def test_a_database_at_an_unsupported_tern_migration_is_refused_with_its_number(
    old_database: Parameters, version: int, advice: str
) -> None:
    with session(old_database) as connection:
        connection.execute("UPDATE schema_version SET version = %s", (version,))
    before = columns(old_database)
    with pytest.raises(ConfigurationError, match=rf"\b{version}\b") as refused:
        migrate(old_database)
    assert advice in refused.value.detail
    assert columns(old_database) == before


def test_a_database_without_the_number_of_its_tern_migration_is_refused(old_database: Parameters) -> None:
    with session(old_database) as connection:
        connection.execute("DELETE FROM schema_version")
    with pytest.raises(ConfigurationError):
        migrate(old_database)


def test_a_composes_table_of_unknown_origin_is_refused(old_database: Parameters) -> None:
    with session(old_database) as connection:
        connection.execute("DROP TABLE schema_version")
    with pytest.raises(ConfigurationError, match="schema_version"):
        migrate(old_database)


def test_newer_migrations_of_this_service_are_accepted(database: Parameters) -> None:
    with session(database) as connection:
        connection.execute("INSERT INTO image_builder_migrations (version, name) VALUES (9999, 'of next year')")
        connection.execute("ALTER TABLE composes ADD COLUMN of_next_year text")
    assert migrate(database) == []


def test_migrating_twice_does_nothing(old_database: Parameters) -> None:
    assert migrate(old_database) != []
    before = query(old_database, "SELECT * FROM image_builder_migrations ORDER BY 1"), indexes(old_database)
    assert migrate(old_database) == []
    assert (query(old_database, "SELECT * FROM image_builder_migrations ORDER BY 1"), indexes(old_database)) == before


@pytest.mark.parametrize("kind", ["empty_database", "old_database"])
def test_each_migration_is_applied_once_by_concurrent_runs(kind: str, request: pytest.FixtureRequest) -> None:
    parameters: Parameters = request.getfixturevalue(kind)
    gate = threading.Barrier(8)

    def pod(_: int) -> list[str]:
        gate.wait()
        return migrate(parameters)

    with ThreadPoolExecutor(8) as pods:
        applied = [name for names in pods.map(pod, range(8)) for name in names]
    expected = [migration.name for migration in migrations()]
    assert applied == (expected if kind == "empty_database" else expected[1:])
    assert index_is_valid(parameters)
    assert query(parameters, "SELECT count(*), count(DISTINCT version) FROM image_builder_migrations") == [
        (len(expected), len(expected))
    ]


def test_an_invalid_index_is_built_again(old_database: Parameters) -> None:
    migrate(old_database)
    with session(old_database) as connection:
        connection.execute("DELETE FROM image_builder_migrations WHERE version = %s", (index_migration(),))
        connection.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass(%s)", (INDEX,))
    assert not index_is_valid(old_database)
    assert migrate(old_database) == [m.name for m in migrations() if m.number == index_migration()]
    assert index_is_valid(old_database)


def test_an_interrupted_build_of_an_index_is_repeated(old_database: Parameters) -> None:
    with ThreadPoolExecutor(1) as pods, an_old_snapshot(old_database):
        pod = pods.submit(migrate, old_database)
        until(
            lambda: query(old_database, "SELECT to_regclass(%s) IS NOT NULL", INDEX) == [(True,)], "the index is begun"
        )
        query(
            old_database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND query LIKE '%CREATE INDEX CONCURRENTLY%' AND pid <> pg_backend_pid()",
        )
        with pytest.raises(UnavailableError):
            pod.result(PATIENCE)
    assert not index_is_valid(old_database)
    migrate(old_database)
    assert index_is_valid(old_database)


def test_a_migration_waits_for_another_one_outside_a_transaction(old_database: Parameters) -> None:
    waiting = """
        SELECT pid, xact_start FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%' AND pid <> pg_backend_pid()
    """
    with ThreadPoolExecutor(2) as pods:
        with an_old_snapshot(old_database):
            working = pods.submit(migrate, old_database)
            until(
                lambda: query(old_database, "SELECT to_regclass(%s) IS NOT NULL", INDEX) == [(True,)],
                "the index is begun",
            )
            late = pods.submit(migrate, old_database)
            until(lambda: query(old_database, waiting), "the second one waits")
            seen = []
            for _ in range(20):
                seen += query(old_database, waiting)
                time.sleep(0.02)
            assert not working.done()
            assert not late.done()
        assert working.result(PATIENCE)
        assert late.result(PATIENCE) == []
    assert {pid for pid, _ in seen}
    assert sum(begun is None for _, begun in seen) > len(seen) / 2
    assert index_is_valid(old_database)


def test_waiting_for_another_migration_is_limited(old_database: Parameters) -> None:
    with ThreadPoolExecutor(1) as pods:
        with an_old_snapshot(old_database):
            working = pods.submit(migrate, old_database)
            until(
                lambda: query(old_database, "SELECT to_regclass(%s) IS NOT NULL", INDEX) == [(True,)],
                "the index is begun",
            )
            with pytest.raises(UnavailableError):
                migrate(old_database, wait=0.3)
        working.result(PATIENCE)


def test_an_unavailable_database_raises_an_unavailable_error(empty_database: Parameters) -> None:
    with pytest.raises(UnavailableError):
        migrate({**empty_database, "port": 1})


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
def test_times_are_utc_in_every_time_zone_of_server_and_role(database: Parameters, zone: str) -> None:
    with session(database) as connection:
        connection.execute(f"ALTER DATABASE {database['dbname']} SET timezone TO '{zone}'".encode())
        connection.execute(
            f"ALTER ROLE {database['user']} IN DATABASE {database['dbname']} SET timezone TO '{zone}'".encode()
        )
    pool = PostgresDatabase(database, size=2)
    pool.open()
    try:
        starts, compose = PostgresStarts(pool), uuid4()
        assert starts.reserve(new_starts(uuid4()), "zone", Quota(3, timedelta(hours=1))).granted
        start = uuid4()
        assert starts.reserve(new_starts(start), "zone", Quota(3, timedelta(hours=1))).granted
        starts.record(start, compose, NewCompose("zone", "", "", {}, None, "api"))
        page = PostgresComposes(pool).find_page(ComposesQuery("zone", Page(10, 0)))
    finally:
        pool.close()
    off = query(
        database,
        """
        SELECT extract(epoch FROM (now() AT TIME ZONE 'utc') - created_at)::float
        FROM (SELECT created_at FROM composes UNION ALL SELECT created_at FROM compose_starts) times
        """,
    )
    assert len(off) == 2
    assert all(abs(seconds) < PATIENCE for (seconds,) in off)
    assert [listed.id for listed in page.composes] == [str(compose)]


def test_times_of_migrations_are_utc_too(empty_database: Parameters) -> None:
    with session(empty_database) as connection:
        connection.execute(f"ALTER DATABASE {empty_database['dbname']} SET timezone TO 'Asia/Tokyo'".encode())
    migrate(empty_database)
    (off,) = query(
        empty_database,
        "SELECT max(abs(extract(epoch FROM (now() AT TIME ZONE 'utc') - applied_at)))::float "
        "FROM image_builder_migrations",
    )
    assert off[0] < PATIENCE
