"""Migrations beside a vacuum, and with settings of roles and databases."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest

from adapters.postgres.migrate import migrate
from domain.errors import UnavailableError
from tests.support.databases import Parameters, query, session
from tests.support.rows import insert_blueprint_version, insert_compose
from tests.support.waiting import PATIENCE, SOON, until

# As long as an autovacuum is waited for before it is sent away: `deadlock_timeout`, and a little.
SENT_AWAY = 1.1


def waits_for_a_lock(parameters: Parameters, seconds: float) -> bool:
    """Whether a statement of a migration has waited for a lock for this time."""
    return bool(
        query(
            parameters,
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
            "AND clock_timestamp() - query_start > make_interval(secs => %s)",
            seconds,
        )
    )


# Not composes: the first index is built before, and that waits for as long as it takes.
@pytest.mark.parametrize("table", ["blueprints", "blueprint_versions"])
def test_a_migration_waits_until_an_autovacuum_is_cancelled_and_blocks_no_other_request(
    old_database: Parameters, table: str
) -> None:
    with ThreadPoolExecutor(1) as pods:
        with psycopg.connect(**old_database) as vacuum:
            vacuum.execute(f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE".encode())
            migrating = pods.submit(migrate, old_database)
            until(lambda: waits_for_a_lock(old_database, SENT_AWAY), "the migration waits for the vacuum")
            began = time.monotonic()
            insert_compose(old_database, "beside")
            insert_blueprint_version(old_database, "beside", 1)
            assert time.monotonic() - began < SOON
            assert not migrating.done()
        assert migrating.result(PATIENCE)


def test_a_migration_gives_up_on_a_vacuum_that_does_not_end(
    old_database: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.postgres.migrate._AUTOVACUUM_TIMEOUT", 100)
    with psycopg.connect(**old_database) as vacuum:
        vacuum.execute("LOCK TABLE blueprints IN SHARE UPDATE EXCLUSIVE MODE")
        with pytest.raises(UnavailableError, match="stays locked"):
            migrate(old_database, wait=0.5)


def test_settings_of_a_role_or_database_do_not_break_migrations(old_database: Parameters) -> None:
    # The settings limit only the migration: a busy machine needs longer for the statements of the test.
    unlimited = {**old_database, "options": "-c statement_timeout=0 -c lock_timeout=0"}
    for setting in ("statement_timeout = 100", "lock_timeout = 100", "default_transaction_isolation = 'serializable'"):
        with session(unlimited) as connection:
            connection.execute(f"ALTER DATABASE {old_database['dbname']} SET {setting}".encode())
    with ThreadPoolExecutor(1) as pods:
        with psycopg.connect(**unlimited) as reader:
            reader.execute("SELECT count(*) FROM composes")
            migrating = pods.submit(migrate, old_database)
            until(lambda: waits_for_a_lock(unlimited, 0.3), "an index waits for a transaction that is older")
            assert not migrating.done()
        assert migrating.result(PATIENCE)


def test_rows_can_be_restored_with_an_empty_search_path(database: Parameters) -> None:
    blueprint = uuid4()
    with session(database) as connection:
        connection.execute("SELECT pg_catalog.set_config('search_path', '', false)")
        connection.execute(
            "INSERT INTO public.blueprints (id, org_id, account_number, name, created_at) "
            "VALUES (%s, 't', '', 'a', now())",
            (blueprint,),
        )
        connection.execute(
            "INSERT INTO public.blueprint_versions (id, blueprint_id, version, body, created_at) "
            "VALUES (%s, %s, 7, '{}', now())",
            (uuid4(), blueprint),
        )
    assert query(database, "SELECT latest_version FROM blueprints") == [(7,)]
