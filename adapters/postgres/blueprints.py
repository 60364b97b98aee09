"""Blueprints and their versions, in the tables `blueprints` and `blueprint_versions`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
import psycopg
from psycopg import errors
from psycopg.types.json import Jsonb

from adapters.postgres.blueprint_lists import AUTHOR, LABELS, LISTED, list_statements
from adapters.postgres.blueprint_versions import (
    RAW_COPIES,
    UNRESERVED_MAX_BYTES,
    estimate_memory,
    fetch_row,
    get_counts,
    to_blueprint,
)
from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.pages import page_values, read_page, rows_and_cursors
from adapters.postgres.patterns import escape_like
from domain.blueprints.blueprint import (
    Blueprint,
    BlueprintsPage,
    BlueprintsQuery,
    ListedBlueprint,
    NewBlueprint,
    Version,
)
from domain.errors import NameTakenError, NotFoundError, StaleVersionError, UnavailableError
from domain.json_size import JsonCounts
from domain.labels import Labels
from ports.memory import reserve_memory

_CREATE: Final = """
INSERT INTO blueprints (id, org_id, account_number, name, description, created_at, metadata)
VALUES (%(blueprint)s, %(tenant)s, %(account_number)s, %(name)s, %(description)s,
        clock_timestamp() AT TIME ZONE 'utc', %(metadata)s)
"""

_ADD_VERSION: Final = """
INSERT INTO blueprint_versions (id, blueprint_id, version, body, created_at, service_snapshots, file_version)
VALUES (%(version_id)s, %(blueprint)s, %(version)s, %(body)s, clock_timestamp() AT TIME ZONE 'utc', %(snapshots)s,
        %(file_version)s)
"""

_ADD_AUTHOR: Final = """
INSERT INTO blueprint_version_authors (version_id, created_by) VALUES (%(version_id)s, %(created_by)s)
"""

_SET_LABELS: Final = """
INSERT INTO blueprint_labels (blueprint_id, labels) VALUES (%(blueprint)s, %(labels)s)
ON CONFLICT (blueprint_id) DO UPDATE SET labels = EXCLUDED.labels
"""

_SETTLE_KEY: Final = """
UPDATE idempotency_keys SET settled = true, made = ARRAY[%(blueprint)s::uuid] WHERE id = %(key)s::uuid
"""

# Changes and deletions of a blueprint lock its row until their transaction ends.
_LOCK: Final = """
SELECT 1 FROM blueprints WHERE id = %(blueprint)s AND org_id = %(tenant)s AND deleted = false FOR UPDATE
"""

_LATEST_VERSION: Final = """
SELECT (SELECT max(version) FROM blueprint_versions WHERE blueprint_id = blueprints.id)
FROM blueprints
WHERE id = %(blueprint)s AND org_id = %(tenant)s AND deleted = false
"""

_UPDATE_BLUEPRINT: Final = (
    "UPDATE blueprints SET name = %(name)s, description = %(description)s WHERE id = %(blueprint)s"
)

# The name is replaced so that the tenant can use it again.
_DELETE: Final = "UPDATE blueprints SET deleted = true, name = id::text WHERE id = %(blueprint)s"

# This must run after `_LOCK`, as a statement of its own: only a new snapshot contains the builds that were recorded
# before the lock was granted.
_VISIBLE_COMPOSES: Final = """
SELECT job_id FROM composes
WHERE blueprint_version_id = ANY (ARRAY(SELECT id FROM blueprint_versions WHERE blueprint_id = %(blueprint)s))
  AND deleted = false
"""
_HIDE_COMPOSES: Final = "UPDATE composes SET deleted = true WHERE job_id = ANY (%(composes)s)"
# Composes that one statement hides, so that no statement exceeds the statement timeout.
_HIDE_BATCH_SIZE: Final = 2000

_BY_NAME: Final = f"""
SELECT id::text, latest_version, name, COALESCE(description, ''), changed_at, {AUTHOR}, {LABELS} FROM blueprints
WHERE {LISTED} AND name = %(name)s
"""  # noqa: S608 - constants, as all below


class _DocumentsTooLargeError(Exception):
    """The documents of a version are larger than the bytes that the statement may return; `counts` are theirs."""

    def __init__(self, counts: JsonCounts) -> None:
        super().__init__()
        self.counts = counts


class _ConcurrentChangeError(UnavailableError):
    """Another transaction added a version with the same number, or a deadlock occurred."""

    def __init__(self) -> None:
        super().__init__("Another request is changing the blueprint", retry_after=1)


class PostgresBlueprints:
    """Implements ports.store.Blueprints."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def create(self, blueprint: NewBlueprint, key_id: UUID | None = None) -> UUID:
        """Implements `Blueprints.create`.

        After a lost answer it is not repeated: it would find the name taken by its own first attempt.
        """
        blueprint_id = uuid4()
        values = {
            "key": key_id,
            "blueprint": blueprint_id,
            "tenant": blueprint.tenant,
            "account_number": blueprint.account_number,
            "name": blueprint.name,
            "description": blueprint.description,
            "metadata": None if blueprint.metadata is None else _jsonb(blueprint.metadata),
        }
        with (
            _translate_conflicts(),
            self._database.connection() as connection,
            connection.pipeline(),
            connection.transaction(),
        ):
            connection.execute(_CREATE, values)
            _add_version(connection, blueprint_id, 1, blueprint)
            if blueprint.labels:
                _set_labels(connection, blueprint_id, blueprint.labels)
            if key_id is not None:
                connection.execute(_SETTLE_KEY, values)
        return blueprint_id

    def change(
        self,
        tenant: str,
        blueprint_id: UUID,
        expected_versions: frozenset[int] | None,
        change: Callable[[Blueprint], Version | None],
    ) -> int:
        """Implements `Blueprints.change`."""
        max_size, reserved = UNRESERVED_MAX_BYTES, 0

        def change_once(connection: psycopg.Connection[Any]) -> int:
            with _translate_conflicts(), connection.transaction():
                current = _lock_and_read(connection, tenant, blueprint_id, expected_versions, max_size)
                new = change(current)
                if new is None:
                    return current.version
                values = {"blueprint": blueprint_id, "name": new.name, "description": new.description}
                with connection.pipeline():
                    connection.execute(_UPDATE_BLUEPRINT, values)
                    _add_version(connection, blueprint_id, current.version + 1, new)
                    if new.labels is not None:
                        _set_labels(connection, blueprint_id, new.labels)
            return current.version + 1

        # The Go service does not lock the row: the two programs conflict only when they insert the same version number.
        # Its insert then waits for our transaction. Ours waits for its transaction, and fails if that commits.
        while True:
            try:
                return self._database.run_with_retry(change_once, attempts=5, retry_on=(_ConcurrentChangeError,))
            except _DocumentsTooLargeError as error:
                # Memory is reserved while the blueprint is not locked, because the reservation may block.
                memory = estimate_memory(error.counts)
                reserve_memory(max(memory - reserved, 0))
                reserved, max_size = max(memory, reserved), error.counts.size

    def find_page(self, query: BlueprintsQuery) -> BlueprintsPage:
        """Implements `Blueprints.find_page`.

        One round trip reads the count and the page.
        """
        if query.name is not None:
            return self._find_by_name(query.tenant, query.name)
        values = {"tenant": query.tenant, **page_values(query)}
        if query.search is not None:
            values["search"] = f"%{escape_like(query.search)}%"
        found = read_page(self._database, query, list_statements(query), values)
        rows, previous, following = rows_and_cursors(query, found)
        listed = tuple(ListedBlueprint._make(row[:-1]) for row in rows)
        reserve_memory(RAW_COPIES * sum(len(blueprint.labels or "") for blueprint in listed))
        return BlueprintsPage(found.count, listed, previous, following)

    def _find_by_name(self, tenant: str, name: str) -> BlueprintsPage:
        values = {"tenant": tenant, "name": name}
        rows = self._database.run_with_retry(lambda connection: connection.execute(_BY_NAME, values).fetchall())
        return BlueprintsPage(len(rows), tuple(map(ListedBlueprint._make, rows)))

    def get(
        self,
        tenant: str,
        blueprint_id: UUID,
        version: int | None = None,
        needed: Callable[[JsonCounts], int] = lambda _: 0,
    ) -> Blueprint:
        """Implements `Blueprints.get`."""
        values = {"blueprint": blueprint_id, "tenant": tenant, "version": version}
        max_size, reserved = UNRESERVED_MAX_BYTES, 0
        while True:
            row = self._database.run_with_retry(partial(fetch_row, {**values, "max_size": max_size}))
            counts = get_counts(row)
            if counts is None:
                return to_blueprint(row)
            memory = estimate_memory(counts)
            reserve_memory(max(memory - reserved, 0), later=max(needed(counts) - memory, 0))
            reserved, max_size = max(memory, reserved), counts.size

    def memory_to_change(self, tenant: str, blueprint_id: UUID) -> int:
        """Implements `Blueprints.memory_to_change`."""
        values = {"blueprint": blueprint_id, "tenant": tenant, "version": None, "max_size": UNRESERVED_MAX_BYTES}
        try:
            counts = get_counts(self._database.run_with_retry(partial(fetch_row, values)))
        except NotFoundError:
            return 0
        return 0 if counts is None else estimate_memory(counts)

    def latest_version(self, tenant: str, blueprint_id: UUID) -> int:
        """Implements `Blueprints.latest_version`."""
        return self._database.run_with_retry(lambda connection: _latest_version(connection, tenant, blueprint_id))

    def delete(self, tenant: str, blueprint_id: UUID, expected_versions: frozenset[int] | None) -> None:
        """Implements `Blueprints.delete`.

        After a lost answer it is not repeated: it would not find the blueprint that its first attempt deleted.
        """
        with self._database.connection() as connection, connection.transaction():
            connection.execute(_LOCK, {"blueprint": blueprint_id, "tenant": tenant})
            _check_version(_latest_version(connection, tenant, blueprint_id), expected_versions)
            connection.execute(_DELETE, {"blueprint": blueprint_id})
            _hide_composes(connection, blueprint_id)


def _lock_and_read(
    connection: psycopg.Connection[Any],
    tenant: str,
    blueprint_id: UUID,
    expected_versions: frozenset[int] | None,
    max_size: int,
) -> Blueprint:
    """Lock a blueprint until the transaction ends, and return its latest version.

    Raises NotFoundError, StaleVersionError, and _DocumentsTooLargeError if its documents have more than `max_size`
    bytes.
    """
    connection.execute(_LOCK, {"blueprint": blueprint_id, "tenant": tenant})
    row = fetch_row({"blueprint": blueprint_id, "tenant": tenant, "version": None, "max_size": max_size}, connection)
    _check_version(row.version, expected_versions)
    counts = get_counts(row)
    if counts is not None:
        raise _DocumentsTooLargeError(counts)
    return to_blueprint(row)


def _check_version(latest: int, expected_versions: frozenset[int] | None) -> None:
    if expected_versions is not None and latest not in expected_versions:
        raise StaleVersionError(f"The blueprint is at version {latest} now")


def _latest_version(connection: psycopg.Connection[Any], tenant: str, blueprint_id: UUID) -> int:
    row = connection.execute(_LATEST_VERSION, {"blueprint": blueprint_id, "tenant": tenant}).fetchone()
    if row is None or row[0] is None:  # a blueprint of the Go service may lack its first version
        raise NotFoundError("Blueprint not found")
    return int(row[0])


def _hide_composes(connection: psycopg.Connection[Any], blueprint_id: UUID) -> None:
    visible = [row[0] for row in connection.execute(_VISIBLE_COMPOSES, {"blueprint": blueprint_id})]
    for start in range(0, len(visible), _HIDE_BATCH_SIZE):
        connection.execute(_HIDE_COMPOSES, {"composes": visible[start : start + _HIDE_BATCH_SIZE]})


def _add_version(
    connection: psycopg.Connection[Any], blueprint_id: UUID, number: int, version: NewBlueprint | Version
) -> None:
    values = {
        "version_id": uuid4(),
        "blueprint": blueprint_id,
        "version": number,
        "body": _jsonb(version.body),
        "snapshots": None if version.snapshots is None else _jsonb(version.snapshots),
        "file_version": version.file_version,
    }
    connection.execute(_ADD_VERSION, values)
    if version.created_by:
        connection.execute(_ADD_AUTHOR, {"version_id": values["version_id"], "created_by": version.created_by})


def _set_labels(connection: psycopg.Connection[Any], blueprint_id: UUID, labels: Labels) -> None:
    connection.execute(_SET_LABELS, {"blueprint": blueprint_id, "labels": _jsonb(labels)})


def _jsonb(document: Any) -> Jsonb:
    return Jsonb(document, dumps=orjson.dumps)


@contextmanager
def _translate_conflicts() -> Iterator[None]:
    """Raise NameTakenError for a name in use, _ConcurrentChangeError for a version number in use or a deadlock."""
    try:
        yield
    except errors.UniqueViolation as error:
        if error.diag.table_name == "blueprints":
            raise NameTakenError from None
        raise _ConcurrentChangeError from error
    except errors.DeadlockDetected as error:
        raise _ConcurrentChangeError from error
