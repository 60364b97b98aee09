"""Migrates a database to the schema of this version; takes over a database that the Go service created.

Any number of pods may call `migrate` at the same time: one migrates, the others poll until it has finished. They do not
wait inside a transaction, because that would block the concurrent creation of an index. Migrations only add to the
schema, so that older programs keep working.

Each file is applied in a transaction, unless its first line says that it builds an index concurrently, or that it runs
outside a transaction because it commits its own batches.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import psycopg
import structlog
from psycopg import errors, sql

from adapters.postgres.connection import first_line, session_parameters
from adapters.postgres.migration_files import Migration, migrations
from domain.errors import ConfigurationError, UnavailableError

# These override settings of the role and the database: creating an index may take any time, and each statement that
# fills a column must see what was committed before it.
_OPTIONS: Final = (
    "-c timezone=UTC -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=5000 "
    r"-c default_transaction_isolation=read\ committed"
)
# Milliseconds that a migration waits for an exclusive lock of a table, because all later requests queue behind it.
_LOCK_TIMEOUT: Final = 300
# Seconds before the next attempt to lock the table.
_RETRY_PAUSE: Final = 0.5
# Milliseconds that a migration waits for an autovacuum, which PostgreSQL cancels after `deadlock_timeout` (one second
# by default).
_AUTOVACUUM_TIMEOUT: Final = 5000
# The advisory lock of migrations: an arbitrary number that no other advisory lock of this database uses.
_LOCK: Final = 0x1B0002
# The last migration of the Go service, in the numbering of its migration tool tern.
_TERN_VERSION: Final = 15
# Our migration that creates the same tables.
_BASELINE: Final = 1

log = structlog.get_logger()


def migrate(parameters: Mapping[str, Any], *, wait: float = 600.0, log_each: bool = True) -> list[str]:
    """Apply the missing migrations and return their names.

    `wait` is the number of seconds to wait for the migration of another pod, and for each migration to lock its tables.
    `log_each`: log a line for each migration.

    Raises ConfigurationError for a database that this version cannot migrate, and UnavailableError if the database is
    unavailable, another pod does not finish in time, or a table stays locked.
    """
    try:
        with psycopg.connect(**{**session_parameters(parameters), "options": _OPTIONS}, autocommit=True) as session:
            _acquire_lock(session, wait)
            missing = _find_missing(session)
            for migration in missing:
                started_at = time.monotonic()
                _apply(session, migration, wait)
                if log_each:
                    log.info("migrated", migration=migration.name, seconds=round(time.monotonic() - started_at, 3))
            return [migration.name for migration in missing]
    except psycopg.OperationalError as error:
        raise UnavailableError(f"The database is not available: {first_line(error)}") from error
    except psycopg.Error as error:
        raise ConfigurationError(f"The database cannot be migrated: {first_line(error)}") from error


def _acquire_lock(session: psycopg.Connection[Any], wait: float) -> None:
    deadline = time.monotonic() + wait
    while not _scalar(session, "SELECT pg_try_advisory_lock(%s)", _LOCK):
        if time.monotonic() > deadline:
            raise UnavailableError("Another migration of this database has not ended in time")
        time.sleep(0.1)


def _find_missing(session: psycopg.Connection[Any]) -> list[Migration]:
    _prepare_versions(session)
    applied = {row[0] for row in session.execute("SELECT version FROM image_builder_migrations")}
    return [migration for migration in migrations() if migration.number not in applied]


def _prepare_versions(session: psycopg.Connection[Any]) -> None:
    with session.transaction():
        is_go_database = _is_at_tern_version(session)
        session.execute(
            """
            CREATE TABLE IF NOT EXISTS image_builder_migrations (
                version    integer PRIMARY KEY,
                name       text NOT NULL,
                applied_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc')
            )
            """
        )
        if is_go_database:
            session.execute(
                "INSERT INTO image_builder_migrations (version, name) VALUES (%s, 'taken over') ON CONFLICT DO NOTHING",
                (_BASELINE,),
            )


def _is_at_tern_version(session: psycopg.Connection[Any]) -> bool:
    """Return whether the database has the tables of tern migration 15; False for an empty database.

    Raises ConfigurationError for any other database.
    """
    if not _scalar(session, "SELECT to_regclass('schema_version') IS NOT NULL"):
        if _scalar(session, "SELECT to_regclass('composes') IS NOT NULL"):
            raise ConfigurationError(
                "Refusing to migrate: `composes` exists without `schema_version`, "
                "so image-builder did not create this database"
            )
        return False
    version = _scalar(session, "SELECT max(version) FROM schema_version")
    if version != _TERN_VERSION:
        raise ConfigurationError(
            f"The database is at tern migration {version}, this version takes over {_TERN_VERSION}: "
            + (
                "use a newer image-builder"
                if (version or 0) > _TERN_VERSION
                else "migrate it with the old program first"
            )
        )
    return True


def _apply(session: psycopg.Connection[Any], migration: Migration, wait: float) -> None:
    started_at = time.monotonic()
    if migration.concurrent_index is not None:
        _drop_if_invalid(session, migration.concurrent_index)
        session.execute(migration.statements.encode())
        _store_version(session, migration)
    elif migration.runs_outside_transaction:
        session.execute(migration.statements.encode())
        _store_version(session, migration)
    else:
        while not _try_in_transaction(session, migration, is_last=time.monotonic() - started_at > wait):
            time.sleep(_RETRY_PAUSE)


def _try_in_transaction(session: psycopg.Connection[Any], migration: Migration, *, is_last: bool) -> bool:
    """Apply the migration in a transaction; return False if a table stays locked.

    In the last attempt (`is_last`) it raises UnavailableError instead.
    """
    try:
        with session.transaction():
            _cancel_autovacuum(session, migration)
            session.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT}".encode())
            session.execute(migration.statements.encode())
            _store_version(session, migration)
    except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
        if is_last:
            raise UnavailableError(f"A table stays locked: {first_line(error)}") from error
        return False
    return True


def _cancel_autovacuum(session: psycopg.Connection[Any], migration: Migration) -> None:
    """Let PostgreSQL cancel an autovacuum of the tables, for which the statements would not wait long enough.

    The lock conflicts only with vacuums and other migrations, not with readers and writers.
    """
    session.execute(f"SET LOCAL lock_timeout = {_AUTOVACUUM_TIMEOUT}".encode())
    for table in migration.tables:
        if _scalar(session, "SELECT relkind = 'r' FROM pg_class WHERE oid = to_regclass(%s)", table):
            session.execute(sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(sql.Identifier(table)))


def _store_version(session: psycopg.Connection[Any], migration: Migration) -> None:
    session.execute(
        "INSERT INTO image_builder_migrations (version, name) VALUES (%s, %s)",
        (migration.number, migration.name),
    )


def _drop_if_invalid(session: psycopg.Connection[Any], index: str) -> None:
    """Drop the index that an interrupted creation left behind: each write updates it, and no query can use it."""
    if _scalar(session, "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", index):
        session.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(index)))


def _scalar(session: psycopg.Connection[Any], statement: str, *values: object) -> Any:
    row = session.execute(statement.encode(), values or None).fetchone()
    return None if row is None else row[0]
