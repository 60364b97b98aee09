"""Lists are correct for rows that an older program wrote before or after the migrations that lists depend on."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from adapters.postgres.blueprints import PostgresBlueprints
from adapters.postgres.composes import PostgresComposes
from adapters.postgres.migrate import migrate
from domain.blueprints.blueprint import BlueprintsQuery
from domain.composes import ComposesQuery
from domain.errors import UnavailableError
from domain.paging import Page
from tests.support.blueprints import insert_blueprint, insert_version
from tests.support.databases import Parameters, session
from tests.support.pools import pool
from tests.support.rows import insert_compose
from tests.support.waiting import PATIENCE, SOON, until

ALL = Page(100, 0)
TENANT = "beside"


def of_type(image_type: Any) -> dict[str, Any]:
    return {"image_requests": [{"image_type": image_type}]}


def builds(parameters: Parameters, *ignored: str) -> tuple[int, list[str]]:
    with pool(parameters) as database:
        found = PostgresComposes(database).find_page(ComposesQuery(TENANT, ALL, ignored))
    return found.count, [compose.id for compose in found.composes]


def blueprints(parameters: Parameters, search: str | None = None) -> list[tuple[str, int]]:
    with pool(parameters) as database:
        found = PostgresBlueprints(database).find_page(BlueprintsQuery(TENANT, ALL, search=search))
    assert found.count == len(found.blueprints)
    return [(blueprint.name, blueprint.version) for blueprint in found.blueprints]


def statement(parameters: Parameters, text: str, *values: object) -> None:
    with session(parameters) as connection:
        connection.execute(text.encode(), values)


def unfilled(parameters: Parameters) -> int:
    with session(parameters) as connection:
        row = connection.execute(
            "SELECT count(*) FROM composes WHERE org_id = %s AND image_type IS NULL", (TENANT,)
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_composes_from_before_the_migration_are_filtered_by_image_type(old_database: Parameters) -> None:
    aws = insert_compose(old_database, TENANT, of_type("aws"), ago=timedelta(days=13))
    wsl = insert_compose(old_database, TENANT, of_type("wsl"), ago=timedelta(days=13, hours=1))
    nothing = insert_compose(old_database, TENANT, {}, ago=timedelta(days=13, hours=2))
    migrate(old_database)
    assert builds(old_database) == (3, [str(aws), str(wsl), str(nothing)])
    assert builds(old_database, "aws") == (2, [str(wsl), str(nothing)])


def test_a_request_changed_by_an_older_program_updates_the_image_type(database: Parameters) -> None:
    compose = insert_compose(database, TENANT, of_type("aws"))
    statement(database, """UPDATE composes SET request = '{"image_requests": [{"image_type": "wsl"}]}'""")
    assert builds(database, "aws") == (1, [str(compose)])
    assert builds(database, "wsl") == (0, [])


@pytest.mark.parametrize("request_", [[], "text", of_type({"a": 1}), of_type("x" * 5000), {"image_requests": 7}])
def test_requests_of_any_shape_are_written_and_listed(database: Parameters, request_: Any) -> None:
    compose = insert_compose(database, TENANT, request_)
    assert builds(database, "aws") == (1, [str(compose)])


def test_composes_restored_without_an_image_type_are_listed(database: Parameters) -> None:
    newest = insert_compose(database, TENANT, of_type("wsl"))
    with session(database) as connection:
        connection.execute("SET session_replication_role = replica")  # as pg_restore --disable-triggers does
        connection.execute(
            "INSERT INTO composes (job_id, request, created_at, account_number, org_id) "
            "SELECT md5(n::text)::uuid, '{}', (now() AT TIME ZONE 'utc') - n * interval '1 hour', '', %s "
            "FROM generate_series(1, 2) n",
            (TENANT,),
        )
    statement(database, "CALL compose_list_entries_fill()")  # docs/operations.md, after a restore
    oldest = insert_compose(database, TENANT, of_type("gcp"), ago=timedelta(hours=3))
    count, found = builds(database, "aws")
    assert (count, found[0], found[-1]) == (4, str(newest), str(oldest))
    assert builds(database, "wsl", "gcp") == (2, found[1:3])


def test_blueprints_from_before_the_migration_are_sorted_by_their_latest_change(old_database: Parameters) -> None:
    first = insert_blueprint(old_database, TENANT, "First", {}, {})
    insert_blueprint(old_database, TENANT, "second", {}, description="ÄPFEL and MORE")
    insert_version(old_database, first, 3, {})
    insert_blueprint(old_database, TENANT, "without a version")
    migrate(old_database)
    assert blueprints(old_database) == [("First", 3), ("second", 1)]
    assert blueprints(old_database, "fIRS") == [("First", 3)]
    assert blueprints(old_database, "and more") == [("second", 1)]


def test_a_version_that_an_older_program_adds_is_the_latest_one(database: Parameters) -> None:
    first = insert_blueprint(database, TENANT, "first", {})
    insert_blueprint(database, TENANT, "second", {})
    insert_version(database, first, 2, {})
    assert blueprints(database) == [("first", 2), ("second", 1)]


def test_a_blueprint_renamed_by_an_older_program_is_found_by_its_new_name(database: Parameters) -> None:
    blueprint = insert_blueprint(database, TENANT, "before", {})
    statement(database, "UPDATE blueprints SET name = 'After', description = 'Later' WHERE id = %s", blueprint)
    assert blueprints(database, "before") == []
    assert blueprints(database, "after") == blueprints(database, "later") == [("After", 1)]


def test_the_longest_texts_can_be_stored(database: Parameters) -> None:
    insert_blueprint(database, TENANT, "\U00010400" * 200, {}, description="\U00010401" * 250)
    assert len(blueprints(database)) == 1


def test_a_blueprint_created_between_two_migrations_is_completed(database: Parameters) -> None:
    insert_blueprint(database, TENANT, "between", {}, {})
    statement(database, "UPDATE blueprints SET latest_version = NULL, changed_at = NULL")
    statement(database, "DELETE FROM image_builder_migrations WHERE name = 'fill_latest_versions'")
    assert migrate(database) == ["fill_latest_versions"]
    assert blueprints(database) == [("between", 2)]


def test_locked_rows_are_completed_later_and_delay_no_other_transaction(database: Parameters) -> None:
    locked, free = (insert_compose(database, TENANT, of_type("aws")) for _ in range(2))
    statement(database, "UPDATE composes SET image_type = NULL")
    statement(database, "DELETE FROM image_builder_migrations WHERE name = 'fill_image_types'")
    with ThreadPoolExecutor(1) as pods:
        with psycopg.connect(**database) as holder:
            holder.execute("SELECT 1 FROM composes WHERE job_id = %s FOR UPDATE", (locked,))
            migrating = pods.submit(migrate, database)
            until(lambda: unfilled(database) == 1, "all but the locked one is filled in")
            statement(database, "UPDATE composes SET image_name = 'not held up' WHERE job_id = %s", free)
            assert not migrating.done()
        assert migrating.result(PATIENCE) == ["fill_image_types"]
    assert unfilled(database) == 0


def _has_column(parameters: Parameters) -> bool:
    with session(parameters) as connection:
        return bool(
            connection.execute(
                "SELECT 1 FROM information_schema.columns WHERE table_name = 'composes' AND column_name = 'image_type'"
            ).fetchone()
        )


def test_transactions_do_not_wait_long_behind_a_migration_that_waits_for_a_table(old_database: Parameters) -> None:
    with ThreadPoolExecutor(1) as pods:
        with psycopg.connect(**old_database) as holder:
            holder.execute("SELECT count(*) FROM composes")
            migrating = pods.submit(migrate, old_database)
            slowest = 0.0
            for _ in range(20):
                began = time.monotonic()
                statement(old_database, "SELECT count(*) FROM composes")
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.05)
            assert not migrating.done()
            assert not _has_column(old_database)
        migrating.result(PATIENCE)
    assert slowest < SOON
    assert _has_column(old_database)


def test_a_table_that_stays_locked_is_reported(old_database: Parameters) -> None:
    with psycopg.connect(**old_database) as holder:
        holder.execute("SELECT count(*) FROM blueprints")
        with pytest.raises(UnavailableError, match="stays locked"):
            migrate(old_database, wait=0.5)
    migrate(old_database)
    assert blueprints(old_database) == []
