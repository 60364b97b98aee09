"""Checks whether a database has the tables of this version, and its user the rights that the service needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from adapters.postgres.migration_files import migrations

_VERSIONS_TABLE: Final = "image_builder_migrations"
# The columns that the service changes when it queries the status of a build at the composer.
_STATUS_COLUMNS: Final = (
    *("status", "looked_at", "started_at", "finished_at", "next_look_at"),
    *("is_final", "is_forgotten"),
)
# The rights that the service needs on each table; `UPDATE column` if it writes only some columns.
# deploy/postgres/roles.sql grants at least these rights.
_RIGHTS: Final = {
    _VERSIONS_TABLE: ("SELECT",),
    "composes": ("SELECT", "INSERT", "UPDATE deleted"),
    "compose_results": ("SELECT", "INSERT", "UPDATE metadata"),
    "compose_authors": ("SELECT", "INSERT"),
    "compose_labels": ("SELECT", "INSERT", "UPDATE labels"),
    "compose_sboms": ("SELECT", "INSERT"),
    "compose_list_entries": ("SELECT",),
    "compose_counts": ("SELECT",),
    "compose_fine_counts": ("SELECT",),
    "compose_quota_counts": ("SELECT",),
    "compose_statuses": ("SELECT", "INSERT", *(f"UPDATE {column}" for column in _STATUS_COLUMNS)),
    "compose_reruns": ("SELECT", "INSERT"),
    "compose_cancellations": ("SELECT", "INSERT", "UPDATE id", "UPDATE attempted_at", "DELETE"),
    "compose_starts": ("SELECT", "INSERT", "UPDATE id", "DELETE"),
    "blueprints": (
        *("SELECT", "INSERT", "UPDATE name", "UPDATE description", "UPDATE deleted"),
        # A trigger writes these with the rights of the user who adds a version.
        *("UPDATE latest_version", "UPDATE changed_at"),
    ),
    "blueprint_versions": ("SELECT", "INSERT"),
    "blueprint_version_authors": ("SELECT", "INSERT"),
    "blueprint_labels": ("SELECT", "INSERT", "UPDATE labels"),
    "idempotency_keys": ("SELECT", "INSERT", "UPDATE id", "DELETE"),
    "reconciler": ("SELECT", "INSERT", "UPDATE pod", "UPDATE until"),
    "status_watcher": ("SELECT", "INSERT", "UPDATE pod", "UPDATE until"),
}
_REQUIRED_RIGHTS: Final = [(table, *right.partition(" ")[::2]) for table, rights in _RIGHTS.items() for right in rights]

# to_regclass finds a table only in schemas of the search path that the user may use; pg_class lists all tables.
_FIND_VERSIONS_TABLE: Final = b"""
SELECT current_user,
       to_regclass('image_builder_migrations') IS NOT NULL,
       (SELECT min(relnamespace::regnamespace::text) FROM pg_class WHERE relname = 'image_builder_migrations')
"""
_FIND_MISSING_RIGHTS: Final = b"""
SELECT name, privilege, column_name, to_regclass(name) IS NULL
FROM unnest(%s::text[], %s::text[], %s::text[]) AS needed (name, privilege, column_name)
WHERE to_regclass(name) IS NULL OR NOT CASE
    WHEN privilege = 'DELETE' THEN has_table_privilege(to_regclass(name), privilege)
    WHEN column_name = '' THEN has_any_column_privilege(to_regclass(name), privilege)
    ELSE has_column_privilege(to_regclass(name), column_name, privilege)
END
"""
_LIST_VERSIONS: Final = b"SELECT version FROM image_builder_migrations"

_MIGRATE: Final = "image-builder migrate"
_GRANT: Final = "psql -f deploy/postgres/roles.sql"


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """Why the service cannot use a database that answers, and the command that fixes it."""

    cause: str
    command: str

    def __str__(self) -> str:
        return f"The database cannot be used: {self.cause}. To mend it, run `{self.command}`"


async def find_schema_fault(connection: psycopg.AsyncConnection[Any]) -> SchemaFault | None:
    """Return the fault of the database, or None.

    It reads PostgreSQL's system catalogue and the list of migrations. A database of a newer version has no fault,
    because migrations only add. Raises psycopg.Error.
    """
    row = await (await connection.execute(_FIND_VERSIONS_TABLE)).fetchone()
    user, visible, schema = row or ("", False, None)
    if schema is None:
        return SchemaFault("it has no tables of this service yet", _MIGRATE)
    if not visible:
        return SchemaFault(f"user {user} may not use the schema {schema}, or does not search it", _GRANT)
    columns = [list(column) for column in zip(*_REQUIRED_RIGHTS, strict=True)]
    lacking = await (await connection.execute(_FIND_MISSING_RIGHTS, columns)).fetchall()
    # Without the migrations, tables may be missing; without this right, the migrations are not known.
    if not any(table == _VERSIONS_TABLE for table, *_ in lacking):
        applied = {version for (version,) in await (await connection.execute(_LIST_VERSIONS)).fetchall()}
        missing = [f"{each.number:04}_{each.name}" for each in migrations() if each.number not in applied]
        if missing:
            count = f"{len(missing)} migrations" if len(missing) > 1 else "one migration"
            return SchemaFault(f"it lacks {count} of this version, beginning with {missing[0]}", _MIGRATE)
    if lacking:
        return SchemaFault(f"user {user} {', '.join(_describe_missing(lacking))}", _GRANT)
    return None


def _describe_missing(lacking: Sequence[tuple[str, str, str, bool]]) -> Iterator[str]:
    """Return a phrase for each table that is missing or on which rights are missing."""
    for table in dict.fromkeys(table for table, *_ in lacking):
        rights = [
            f"{privilege} of {column}" if column else privilege
            for name, privilege, column, is_absent in lacking
            if name == table and not is_absent
        ]
        yield f"lacks rights on {table} ({', '.join(rights)})" if rights else f"finds no table {table}"
