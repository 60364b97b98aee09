"""The tables of the Go service are the same, whether the Go service or any version of this service created them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from adapters.postgres import migrate as migrating
from adapters.postgres.migrate import migrate
from adapters.postgres.migration_files import migrations
from tests.support import databases, go_service
from tests.support.databases import Parameters, query, session
from tests.support.rows import TERN_15, insert_blueprint_version, insert_compose
from tests.support.schema import ADDED, TABLES_OF_TERN, columns, constraints, indexes

TABLES_BEFORE_0022 = (Path(databases.__file__).parent / "tables_before_0022.sql").read_text()
BEFORE = 21
# What a database keeps that an earlier version made. Another type would fail statements that running pods have
# prepared; the check refuses nothing that the Go service writes.
KEPT_COLUMN = ("composes", "image_name")
KEPT_CHECK = "blueprints_org_id_check"
CHECK_INSTEAD = "composes_image_name_check"


@pytest.fixture
def earlier_database(empty_database: Parameters, monkeypatch: pytest.MonkeyPatch) -> Parameters:
    """A database of a version of this service before migration 0022."""
    first, *others = (each for each in migrations() if each.number <= BEFORE)
    with monkeypatch.context() as patch:
        patch.setattr(migrating, "migrations", lambda: [replace(first, statements=TABLES_BEFORE_0022), *others])
        migrate(empty_database)
    return empty_database


@contextmanager
def new_database(server: Parameters) -> Iterator[Parameters]:
    with databases.database(server) as parameters:
        migrate(parameters)
        yield parameters


def write_a_blueprint(database: Parameters, statements: tuple[str, ...], name: str = "web") -> dict[str, Any]:
    """Write a blueprint, a version and a compose as the Go service does; returns the values."""
    values = go_service.row("tenant", name, {}, {"image_requests": [{"image_type": "aws"}]})
    go_service.write(database, values, *statements)
    return values


def test_a_new_database_and_one_at_tern_15_get_the_same_schema(old_database: Parameters, postgres: Parameters) -> None:
    migrate(old_database)
    with new_database(postgres) as new:
        assert columns(new) == columns(old_database)
        assert indexes(new) == indexes(old_database)
        assert constraints(new) == constraints(old_database)
        assert query(new, "SELECT version FROM schema_version") == [(15,)]


def test_the_first_migration_creates_the_tables_of_tern_15(empty_database: Parameters, postgres: Parameters) -> None:
    with session(empty_database) as connection:
        connection.execute(migrations()[0].statements.encode())
    with databases.database(postgres) as theirs:
        with session(theirs) as connection:
            connection.execute(TERN_15)
        assert columns(empty_database) == columns(theirs)
        assert indexes(empty_database) == indexes(theirs)
        assert constraints(empty_database) == constraints(theirs)


def test_migrations_do_not_change_columns_indexes_and_constraints_of_tern_15(old_database: Parameters) -> None:
    before = columns(old_database), indexes(old_database), constraints(old_database)
    migrate(old_database)
    assert [row for row in columns(old_database) if row[0] in TABLES_OF_TERN and row[:2] not in ADDED] == before[0]
    assert set(before[1]) <= set(indexes(old_database))
    assert [row for row in constraints(old_database) if row[0] in TABLES_OF_TERN] == before[2]


def test_columns_that_migrations_add_may_be_omitted_on_insert(old_database: Parameters) -> None:
    migrate(old_database)
    assert {row[4] for row in columns(old_database) if row[:2] in ADDED} == {"YES"}


def test_a_database_of_an_earlier_version_gets_the_new_schema_except_for_two_limits(
    earlier_database: Parameters, postgres: Parameters
) -> None:
    migrate(earlier_database)
    with new_database(postgres) as new:
        different = set(columns(earlier_database)) ^ set(columns(new))
        assert {row[:2] for row in different} == {KEPT_COLUMN}
        assert {(row[3], *row[4:6]) for row in different} == {(100, "YES", None), (None, "YES", None)}
        assert indexes(earlier_database) == indexes(new)
        different = set(constraints(earlier_database)) ^ set(constraints(new))
        assert {row[1] for row in different} == {KEPT_CHECK, CHECK_INSTEAD}


@pytest.mark.parametrize("statements", [go_service.ALL, go_service.LEAST], ids=["usual", "least"])
def test_the_go_service_can_write_a_database_of_an_earlier_version(
    earlier_database: Parameters, statements: tuple[str, ...]
) -> None:
    with pytest.raises(errors.NotNullViolation):
        write_a_blueprint(earlier_database, statements)
    migrate(earlier_database)
    write_a_blueprint(earlier_database, statements)


@pytest.mark.parametrize("statements", [go_service.ALL, go_service.LEAST], ids=["usual", "least"])
@pytest.mark.parametrize("kind", ["database", "old_database"])
def test_the_go_service_can_write_a_database_created_or_migrated_by_this_version(
    kind: str, statements: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    parameters: Parameters = request.getfixturevalue(kind)
    migrate(parameters)
    values = write_a_blueprint(parameters, statements)
    ((changed_at, made_at, deleted, image_type),) = query(
        parameters,
        "SELECT changed_at, blueprint_versions.created_at, blueprints.deleted, image_type "
        "FROM blueprints JOIN blueprint_versions ON blueprint_id = blueprints.id "
        "LEFT JOIN composes ON job_id = %s WHERE blueprints.id = %s",
        values["compose"],
        values["blueprint"],
    )
    assert (changed_at, deleted, image_type) == (made_at, False, "aws")


@pytest.mark.parametrize("kind", ["database", "earlier_database", "old_database"])
def test_violations_name_the_constraints_of_tern_15(kind: str, request: pytest.FixtureRequest) -> None:
    parameters: Parameters = request.getfixturevalue(kind)
    migrate(parameters)
    first = write_a_blueprint(parameters, go_service.ALL)

    def violated(statement: str, **values: Any) -> str | None:
        second = go_service.row("tenant", "other", {}, {}, blueprint=first["blueprint"])
        with pytest.raises(psycopg.IntegrityError) as refused:
            go_service.write(parameters, {**second, **values}, statement)
        return refused.value.diag.constraint_name

    other = go_service.row("", "", {}, {})["blueprint"]
    assert violated(go_service.INSERT_BLUEPRINT, name="web", blueprint=other) == "blueprints_name_unique"
    assert violated(go_service.INSERT_VERSION) == "blueprint_versions_blueprint_id_version_idx"
    assert violated(go_service.INSERT_VERSION, blueprint=other) == "blueprint_versions_blueprint_id_fkey"
    assert violated(go_service.INSERT_COMPOSE, version=other) == "composes_blueprint_version_id_fkey"
    assert violated(go_service.INSERT_COMPOSE, version=None, tenant=" ") == "composes_org_id_check"


@pytest.mark.parametrize("kind", ["database", "earlier_database", "old_database"])
def test_an_image_name_has_at_most_100_characters(kind: str, request: pytest.FixtureRequest) -> None:
    parameters: Parameters = request.getfixturevalue(kind)
    migrate(parameters)
    write_a_blueprint(parameters, (go_service.INSERT_BLUEPRINT, go_service.INSERT_VERSION, go_service.INSERT_COMPOSE))
    values = go_service.row("tenant", "\U00010400" * 100, {}, {})
    go_service.write(parameters, {**values, "version": None}, go_service.INSERT_COMPOSE)
    values = go_service.row("tenant", "x" * 101, {}, {})
    with pytest.raises((errors.CheckViolation, errors.StringDataRightTruncation)):
        go_service.write(parameters, {**values, "version": None}, go_service.INSERT_COMPOSE)


def test_prepared_statements_of_a_pod_work_after_the_migration(earlier_database: Parameters) -> None:
    insert_blueprint_version(earlier_database, "tenant", 1)
    insert_compose(earlier_database, "tenant")
    with session(earlier_database) as pod:
        statements = (
            "SELECT job_id, image_name, created_at FROM composes",
            "SELECT id, name, created_at FROM blueprints",
            "SELECT id, version, created_at FROM blueprint_versions",
        )
        for statement in statements:
            assert len(pod.execute(statement.encode(), prepare=True).fetchall()) == 1
        migrate(earlier_database)
        for statement in statements:
            assert len(pod.execute(statement.encode(), prepare=True).fetchall()) == 1
