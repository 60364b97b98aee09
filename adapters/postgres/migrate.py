"""Brings a database to the tables this version wants, or takes over one that an older program made.

Any number of pods may call `migrate` at once: one works, the others wait, polling. They do not wait inside a
transaction, which would block the building of an index. Migrations only add, so that older programs run on.

A file is applied in a transaction, unless its first line says that it builds an index concurrently, or runs outside a
transaction because it commits batches of its own.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
import structlog
from psycopg import errors, sql

from adapters.postgres.connection import first_line, session_parameters
from domain.errors import ConfigurationError, UnavailableError

_DIRECTORY: Final = Path(__file__).parent / "migrations"
_FILE_NAME: Final = re.compile(r"(?P<number>\d{4})_(?P<name>\w+)\.sql")
_CONCURRENT: Final = re.compile(r"\A-- concurrently: (?P<index>\w+)\n")
_OUTSIDE: Final = "-- outside a transaction\n"
# What may stand where a table does that the statements lock.
_TABLE: Final = re.compile(r"\b(?:ALTER TABLE|ON|REFERENCES) (\w+)")
# Nothing of a role's or a database's own: an index takes as long as it takes to build, and a fill sees what others have
# committed before each of its statements.
_OPTIONS: Final = (
    "-c timezone=UTC -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=5000 "
    r"-c default_transaction_isolation=read\ committed"
)
# Who wants a table for himself makes all others wait behind him: he gives up after this many milliseconds, and comes
# again after a pause of that many seconds.
_TABLE_WAIT: Final = 300
_TABLE_PAUSE: Final = 0.5
# An autovacuum gives way to whoever has waited for it for `deadlock_timeout`, a second where nobody has changed it.
_VACUUM_WAIT: Final = 5000
_LOCK: Final = 0x1B0002
_TERN_VERSION: Final = 15
_BASELINE: Final = 1

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Migration:
    """A file of SQL; `concurrent_index` names the index it builds outside a transaction, if it does."""

    number: int
    name: str
    statements: str

    @property
    def concurrent_index(self) -> str | None:
        """The index of a file that begins with `-- concurrently: <index>`."""
        found = _CONCURRENT.match(self.statements)
        return found["index"] if found else None

    @property
    def tables(self) -> list[str]:
        """What its statements may lock, once each; not all of these are tables, or there yet."""
        return list(dict.fromkeys(_TABLE.findall(self.statements)))

    @property
    def outside(self) -> bool:
        """Whether the file begins with `-- outside a transaction`: one statement, which may be repeated."""
        return self.statements.startswith(_OUTSIDE)


def migrations(directory: Path = _DIRECTORY) -> list[Migration]:
    """The migrations of this version in their order."""
    found = ((_FILE_NAME.fullmatch(path.name), path) for path in sorted(directory.iterdir()))
    return [
        Migration(int(match["number"]), match["name"], path.read_text(encoding="utf-8"))
        for match, path in found
        if match
    ]


def migrate(parameters: Mapping[str, Any], *, wait: float = 600.0) -> list[str]:
    """Apply what is missing and return the names of what was applied.

    `wait` is for how many seconds it waits for another pod's migration, and each migration for a table. Raises
    ConfigurationError for a database this version cannot take over, UnavailableError when it is away, another pod never
    finishes or a table is never free.
    """
    try:
        with psycopg.connect(**{**session_parameters(parameters), "options": _OPTIONS}, autocommit=True) as session:
            _take_turn(session, wait)
            missing = _missing(session)
            for migration in missing:
                _apply(session, migration, wait)
            return [migration.name for migration in missing]
    except psycopg.OperationalError as error:
        raise UnavailableError(f"The database is not available: {first_line(error)}") from error
    except psycopg.Error as error:
        raise ConfigurationError(f"The database cannot be migrated: {first_line(error)}") from error


def _take_turn(session: psycopg.Connection[Any], wait: float) -> None:
    deadline = time.monotonic() + wait
    while not _scalar(session, "SELECT pg_try_advisory_lock(%s)", _LOCK):
        if time.monotonic() > deadline:
            raise UnavailableError("Another migration of this database does not end")
        time.sleep(0.1)


def _missing(session: psycopg.Connection[Any]) -> list[Migration]:
    _begin_counting(session)
    done = {row[0] for row in session.execute("SELECT version FROM image_builder_migrations")}
    return [migration for migration in migrations() if migration.number not in done]


def _begin_counting(session: psycopg.Connection[Any]) -> None:
    with session.transaction():
        taken_over = _at_tern_version(session)
        session.execute(
            """
            CREATE TABLE IF NOT EXISTS image_builder_migrations (
                version    integer PRIMARY KEY,
                name       text NOT NULL,
                applied_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc')
            )
            """
        )
        if taken_over:
            session.execute(
                "INSERT INTO image_builder_migrations (version, name) VALUES (%s, 'taken over') ON CONFLICT DO NOTHING",
                (_BASELINE,),
            )


def _at_tern_version(session: psycopg.Connection[Any]) -> bool:
    """Whether the tables of tern 15 are there; False for an empty database. Refuses all others."""
    if not _scalar(session, "SELECT to_regclass('schema_version') IS NOT NULL"):
        if _scalar(session, "SELECT to_regclass('composes') IS NOT NULL"):
            raise ConfigurationError("The database has a table `composes` and no `schema_version`: whose is it?")
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
    began = time.monotonic()
    if migration.concurrent_index is not None:
        _drop_if_invalid(session, migration.concurrent_index)
        session.execute(migration.statements.encode())
        _count(session, migration)
    elif migration.outside:
        session.execute(migration.statements.encode())
        _count(session, migration)
    else:
        while not _applied_at_once(session, migration, last=time.monotonic() - began > wait):
            time.sleep(_TABLE_PAUSE)
    log.info("migrated", migration=migration.name, seconds=round(time.monotonic() - began, 3))


def _applied_at_once(session: psycopg.Connection[Any], migration: Migration, *, last: bool) -> bool:
    """Apply it within a transaction; False where somebody else does not let go of a table."""
    try:
        with session.transaction():
            _keep_vacuum_out(session, migration)
            session.execute(f"SET LOCAL lock_timeout = {_TABLE_WAIT}".encode())
            session.execute(migration.statements.encode())
            _count(session, migration)
    except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
        if last:
            raise UnavailableError(f"A table is never free: {first_line(error)}") from error
        return False
    return True


def _keep_vacuum_out(session: psycopg.Connection[Any], migration: Migration) -> None:
    """Send an autovacuum away that the statements would not wait for long enough.

    The lock is one that vacuums and migrations take, and holds up nobody who reads or writes.
    """
    session.execute(f"SET LOCAL lock_timeout = {_VACUUM_WAIT}".encode())
    for table in migration.tables:
        if _scalar(session, "SELECT relkind = 'r' FROM pg_class WHERE oid = to_regclass(%s)", table):
            session.execute(sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(sql.Identifier(table)))


def _count(session: psycopg.Connection[Any], migration: Migration) -> None:
    session.execute(
        "INSERT INTO image_builder_migrations (version, name) VALUES (%s, %s)",
        (migration.number, migration.name),
    )


def _drop_if_invalid(session: psycopg.Connection[Any], index: str) -> None:
    """A concurrent build that was cut short leaves an index nobody uses and everybody maintains."""
    if _scalar(session, "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", index):
        session.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(index)))


def _scalar(session: psycopg.Connection[Any], statement: str, *values: object) -> Any:
    row = session.execute(statement.encode(), values or None).fetchone()
    return None if row is None else row[0]
