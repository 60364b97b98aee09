"""Blueprints and their versions, in `blueprints` and `blueprint_versions`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
import psycopg
from psycopg import errors
from psycopg.types.json import Jsonb

from adapters.postgres.connection import PostgresDatabase
from domain.blueprints.blueprint import (
    Blueprint,
    BlueprintsPage,
    BlueprintsQuery,
    ListedBlueprint,
    NewBlueprint,
    Version,
    as_read,
)
from domain.errors import NotFoundError, RulesViolatedError, StaleVersionError, UnavailableError, Violation

_CREATE: Final = """
INSERT INTO blueprints (id, org_id, account_number, name, description, created_at, metadata)
VALUES (%(blueprint)s, %(tenant)s, %(account_number)s, %(name)s, %(description)s,
        clock_timestamp() AT TIME ZONE 'utc', %(metadata)s)
"""

_ADD_VERSION: Final = """
INSERT INTO blueprint_versions (id, blueprint_id, version, body, created_at, service_snapshots)
VALUES (%(version_id)s, %(blueprint)s, %(version)s, %(body)s, clock_timestamp() AT TIME ZONE 'utc', %(snapshots)s)
"""

# Whoever changes or deletes a blueprint has it to himself until he is done.
_LOCK: Final = """
SELECT 1 FROM blueprints WHERE id = %(blueprint)s AND org_id = %(tenant)s AND deleted = false FOR UPDATE
"""

_GET: Final = """
SELECT blueprints.id, blueprints.name, COALESCE(blueprints.description, ''), versions.version, versions.id,
       versions.body::text, versions.service_snapshots::text
FROM blueprints
JOIN blueprint_versions versions ON versions.blueprint_id = blueprints.id
WHERE blueprints.id = %(blueprint)s AND blueprints.org_id = %(tenant)s AND blueprints.deleted = false
  AND (%(version)s::bigint IS NULL OR versions.version = %(version)s::bigint)
ORDER BY versions.version DESC
LIMIT 1
"""

_RENAME: Final = "UPDATE blueprints SET name = %(name)s, description = %(description)s WHERE id = %(blueprint)s"

_DELETE: Final = "UPDATE blueprints SET deleted = true, name = id::text WHERE id = %(blueprint)s"

# A statement of its own, after the lock: it sees the builds of whoever held the blueprint before.
_HIDE_COMPOSES: Final = """
UPDATE composes SET deleted = true
WHERE blueprint_version_id IN (SELECT id FROM blueprint_versions WHERE blueprint_id = %(blueprint)s)
"""

_MATCHING: Final = """
FROM blueprints
WHERE org_id = %(tenant)s
  AND deleted = false
  AND (%(name)s::varchar IS NULL OR name = %(name)s::varchar)
  AND (%(search)s::text IS NULL OR name ILIKE %(search)s OR description ILIKE %(search)s)
"""

_COUNT: Final = f"SELECT count(*) {_MATCHING}"

_PAGE: Final = f"""
SELECT matching.id::text, latest.version, matching.name, COALESCE(matching.description, ''), latest.created_at
FROM (SELECT id, name, description {_MATCHING}) matching
CROSS JOIN LATERAL (
    SELECT version, created_at FROM blueprint_versions
    WHERE blueprint_id = matching.id
    ORDER BY version DESC
    LIMIT 1
) latest
ORDER BY latest.created_at DESC, matching.id DESC
LIMIT %(limit)s OFFSET %(offset)s
"""  # noqa: S608 - two constants


_NOT_UNIQUE: Final = Violation("Name not unique", "A blueprint with the same name already exists.")


class _VersionTakenError(UnavailableError):
    """Somebody else has added the version meanwhile."""

    def __init__(self) -> None:
        super().__init__("The blueprint is being changed by somebody else", retry_after=1)


class PostgresBlueprints:
    """Fulfils ports.store.Blueprints."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def create(self, blueprint: NewBlueprint) -> UUID:
        """See the port."""
        blueprint_id = uuid4()
        values = {
            "blueprint": blueprint_id,
            "tenant": blueprint.tenant,
            "account_number": blueprint.account_number,
            "name": blueprint.name,
            "description": blueprint.description,
            "metadata": None if blueprint.metadata is None else _jsonb(blueprint.metadata),
        }
        with _clashes(), self._database.connection() as connection, connection.pipeline(), connection.transaction():
            connection.execute(_CREATE, values)
            _add_version(connection, blueprint_id, 1, blueprint)
        return blueprint_id

    def change(
        self, tenant: str, blueprint_id: UUID, wanted: frozenset[int] | None, change: Callable[[Blueprint], Version]
    ) -> int:
        """See the port."""

        def work(connection: psycopg.Connection[Any]) -> int:
            with _clashes(), connection.transaction():
                before = _locked(connection, tenant, blueprint_id, wanted)
                after = change(before)
                values = {"blueprint": blueprint_id, "name": after.name, "description": after.description}
                with connection.pipeline():
                    connection.execute(_RENAME, values)
                    _add_version(connection, blueprint_id, before.version + 1, after)
            return before.version + 1

        # The older program, which may run beside this one, takes no lock before it adds a version, but while it does:
        # it waits for us to let go of the blueprint, and we for it to have added the version or not.
        return self._database.again(work, attempts=5, after=(_VersionTakenError,))

    def page(self, query: BlueprintsQuery) -> BlueprintsPage:
        """See the port. Count and page travel together."""
        by_name = query.name is not None
        values = {
            "tenant": query.tenant,
            "name": query.name,
            "search": None if by_name or query.search is None else f"%{_literal(query.search)}%",
            "limit": None if by_name else query.page.limit,
            "offset": 0 if by_name else query.page.offset,
        }

        def read(connection: psycopg.Connection[Any]) -> BlueprintsPage:
            with connection.pipeline():
                counted = connection.execute(_COUNT, values)
                rows = connection.execute(_PAGE, values)
            (count,) = counted.fetchone() or (0,)
            return BlueprintsPage(count, tuple(map(ListedBlueprint._make, rows.fetchall())))

        return self._database.again(read)

    def get(self, tenant: str, blueprint_id: UUID, version: int | None = None) -> Blueprint:
        """See the port."""
        return self._database.again(lambda connection: _read(connection, tenant, blueprint_id, version))

    def delete(self, tenant: str, blueprint_id: UUID, wanted: frozenset[int] | None) -> None:
        """See the port."""
        with self._database.connection() as connection, connection.transaction():
            _locked(connection, tenant, blueprint_id, wanted)
            connection.execute(_DELETE, {"blueprint": blueprint_id})
            connection.execute(_HIDE_COMPOSES, {"blueprint": blueprint_id})


def _locked(
    connection: psycopg.Connection[Any], tenant: str, blueprint_id: UUID, wanted: frozenset[int] | None
) -> Blueprint:
    """The latest version of a blueprint that nobody else changes until the transaction ends."""
    connection.execute(_LOCK, {"blueprint": blueprint_id, "tenant": tenant})
    blueprint = _read(connection, tenant, blueprint_id, None)
    if wanted is not None and blueprint.version not in wanted:
        raise StaleVersionError(f"The blueprint is at version {blueprint.version} now")
    return blueprint


def _read(connection: psycopg.Connection[Any], tenant: str, blueprint_id: UUID, version: int | None) -> Blueprint:
    values = {"blueprint": blueprint_id, "tenant": tenant, "version": version}
    row = connection.execute(_GET, values).fetchone()
    if row is None:
        raise NotFoundError("Blueprint not found" if version is None else "Blueprint version not found")
    found_id, name, description, number, version_id, body, snapshots = row
    return Blueprint(found_id, name, description, number, version_id, as_read(_document(body)), _document(snapshots))


def _add_version(
    connection: psycopg.Connection[Any], blueprint_id: UUID, number: int, version: NewBlueprint | Version
) -> None:
    values = {
        "version_id": uuid4(),
        "blueprint": blueprint_id,
        "version": number,
        "body": _jsonb(version.body),
        "snapshots": None if version.snapshots is None else _jsonb(version.snapshots),
    }
    connection.execute(_ADD_VERSION, values)


def _jsonb(document: Any) -> Jsonb:
    return Jsonb(document, dumps=orjson.dumps)


def _document(text: str | None) -> dict[str, Any]:
    """A stored document; empty for what is none: PostgreSQL keeps numbers and depths that nothing else reads."""
    try:
        document = orjson.loads(text or "{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _literal(text: str) -> str:
    """`text` within a pattern of LIKE, where it means itself."""
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")


@contextmanager
def _clashes() -> Iterator[None]:
    """Say which of the two unique things there is already."""
    try:
        yield
    except errors.UniqueViolation as error:
        if error.diag.table_name == "blueprints":
            raise RulesViolatedError((_NOT_UNIQUE,)) from None
        raise _VersionTakenError from error
    except errors.DeadlockDetected as error:
        raise _VersionTakenError from error
