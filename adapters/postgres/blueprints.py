"""Blueprints and their versions, in the tables `blueprints` and `blueprint_versions`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
import psycopg
from psycopg import errors
from psycopg.types.json import Jsonb

from adapters.postgres.blueprint_lists import AUTHOR, LISTED, list_statements
from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.pages import cut, page_values, read_page
from adapters.postgres.patterns import escape_like
from domain.blueprints.blueprint import (
    Blueprint,
    BlueprintsPage,
    BlueprintsQuery,
    ListedBlueprint,
    NewBlueprint,
    Version,
    normalize_body,
)
from domain.errors import NotFoundError, RulesViolatedError, StaleVersionError, UnavailableError, Violation
from domain.json_size import JsonCounts
from ports.memory import reserve_memory

_CREATE: Final = """
INSERT INTO blueprints (id, org_id, account_number, name, description, created_at, metadata)
VALUES (%(blueprint)s, %(tenant)s, %(account_number)s, %(name)s, %(description)s,
        clock_timestamp() AT TIME ZONE 'utc', %(metadata)s)
"""

_ADD_VERSION: Final = """
INSERT INTO blueprint_versions (id, blueprint_id, version, body, created_at, service_snapshots)
VALUES (%(version_id)s, %(blueprint)s, %(version)s, %(body)s, clock_timestamp() AT TIME ZONE 'utc', %(snapshots)s)
"""

_ADD_AUTHOR: Final = """
INSERT INTO blueprint_version_authors (version_id, created_by) VALUES (%(version_id)s, %(created_by)s)
"""

_SETTLE_KEY: Final = """
UPDATE idempotency_keys SET settled = true, made = ARRAY[%(blueprint)s::uuid] WHERE id = %(key)s::uuid
"""

# Changes and deletions of a blueprint lock its row until their transaction ends.
_LOCK: Final = """
SELECT 1 FROM blueprints WHERE id = %(blueprint)s AND org_id = %(tenant)s AND deleted = false FOR UPDATE
"""

# OFFSET 0 makes PostgreSQL convert the documents to text once. It sends them if they have at most `expected` bytes, and
# their size. In larger ones it counts what their parsed form depends on (JsonCounts), by replace(): translate() is 50
# times slower.
_GET: Final = """
SELECT blueprints.id, blueprints.name, COALESCE(blueprints.description, ''), versions.version, versions.id,
       documents.size,
       CASE WHEN documents.size <= %(expected)s::bigint THEN convert_to(documents.body, 'UTF8') END,
       CASE WHEN documents.size <= %(expected)s::bigint THEN convert_to(documents.snapshots, 'UTF8') END,
       CASE WHEN documents.size > %(expected)s::bigint THEN (
           SELECT ARRAY[
               documents.size - length(joined),
               documents.size - octet_length(replace(joined, '{', '')),
               documents.size - octet_length(replace(joined, '[', '')),
               documents.size - octet_length(replace(joined, ',', '')),
               documents.size - octet_length(replace(joined, ':', ''))
           ] FROM concat(documents.body, documents.snapshots) joined
       ) END,
       (SELECT authors.created_by
        FROM blueprint_versions first JOIN blueprint_version_authors authors ON authors.version_id = first.id
        WHERE first.blueprint_id = blueprints.id AND first.version = 1),
       (SELECT created_by FROM blueprint_version_authors WHERE version_id = versions.id)
FROM blueprints
JOIN blueprint_versions versions ON versions.blueprint_id = blueprints.id
CROSS JOIN LATERAL (
    SELECT texts.*, octet_length(texts.body) + COALESCE(octet_length(texts.snapshots), 0) AS size
    FROM (SELECT versions.body::text AS body, versions.service_snapshots::text AS snapshots OFFSET 0) texts
) documents
WHERE blueprints.id = %(blueprint)s AND blueprints.org_id = %(tenant)s AND blueprints.deleted = false
  AND versions.version = COALESCE(
      %(version)s::bigint, (SELECT max(version) FROM blueprint_versions WHERE blueprint_id = %(blueprint)s))
"""

_LATEST_VERSION: Final = """
SELECT (SELECT max(version) FROM blueprint_versions WHERE blueprint_id = blueprints.id)
FROM blueprints
WHERE id = %(blueprint)s AND org_id = %(tenant)s AND deleted = false
"""

# Bytes of a version's documents up to which the first statement reads them, without a reservation of memory.
_EXPECTED: Final = 64 * 1024
# How many copies of large documents exist at once as bytes: in the driver, as the input of the parser, and in the
# answer's buffer, which grows by doubling.
_COPIES: Final = 3
# How many copies of them exist at once in their parsed form.
_PARSED_COPIES: Final = 1

_RENAME: Final = "UPDATE blueprints SET name = %(name)s, description = %(description)s WHERE id = %(blueprint)s"

_DELETE: Final = "UPDATE blueprints SET deleted = true, name = id::text WHERE id = %(blueprint)s"

# A separate statement after the lock, because it must see builds that the previous holder of the lock recorded.
_SHOWN_COMPOSES: Final = """
SELECT job_id FROM composes
WHERE blueprint_version_id = ANY (ARRAY(SELECT id FROM blueprint_versions WHERE blueprint_id = %(blueprint)s))
  AND deleted = false
"""
_HIDE_COMPOSES: Final = "UPDATE composes SET deleted = true WHERE job_id = ANY (%(composes)s)"
# Composes that one statement hides, so that none reaches its time limit however many builds a blueprint has.
_HIDDEN_AT_ONCE: Final = 2000

_BY_NAME: Final = f"""
SELECT id::text, latest_version, name, COALESCE(description, ''), changed_at, {AUTHOR} FROM blueprints
WHERE {LISTED} AND name = %(name)s
"""  # noqa: S608 - constants, as all below

_NOT_UNIQUE: Final = Violation("Name not unique", "A blueprint with the same name already exists.")


class _DocumentsTooLargeError(Exception):
    """The documents of a version are larger than the memory that is reserved for them."""

    def __init__(self, counts: JsonCounts) -> None:
        super().__init__()
        self.counts = counts


class _VersionTakenError(UnavailableError):
    """Another transaction has added the version meanwhile."""

    def __init__(self) -> None:
        super().__init__("Another request is changing the blueprint", retry_after=1)


class PostgresBlueprints:
    """Fulfils ports.store.Blueprints."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def create(self, blueprint: NewBlueprint, key: UUID | None = None) -> UUID:
        """See the port."""
        blueprint_id = uuid4()
        values = {
            "key": key,
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
            if key is not None:
                connection.execute(_SETTLE_KEY, values)
        return blueprint_id

    def change(
        self, tenant: str, blueprint_id: UUID, wanted: frozenset[int] | None, change: Callable[[Blueprint], Version]
    ) -> int:
        """See the port."""
        expected, reserved = _EXPECTED, 0

        def work(connection: psycopg.Connection[Any]) -> int:
            with _translate_conflicts(), connection.transaction():
                before = _lock_and_read(connection, tenant, blueprint_id, wanted, expected)
                after = change(before)
                values = {"blueprint": blueprint_id, "name": after.name, "description": after.description}
                with connection.pipeline():
                    connection.execute(_RENAME, values)
                    _add_version(connection, blueprint_id, before.version + 1, after)
            return before.version + 1

        # The older program, which may run beside this one, locks the blueprint only by its insert of a version. Then
        # the insert waits for our transaction, or our insert waits for its transaction and fails if that commits.
        while True:
            try:
                return self._database.run_with_retry(work, attempts=5, after=(_VersionTakenError,))
            except _DocumentsTooLargeError as error:
                # Memory is reserved while the blueprint is not locked, because the reservation may block.
                memory = _memory_of(error.counts)
                reserve_memory(max(memory - reserved, 0))
                reserved, expected = max(memory, reserved), error.counts.size

    def find_page(self, query: BlueprintsQuery) -> BlueprintsPage:
        """See the port. One round trip reads the count and the page."""
        if query.name is not None:
            return self._named(query.tenant, query.name)
        values = {"tenant": query.tenant, **page_values(query)}
        if query.search is not None:
            values["search"] = f"%{escape_like(query.search)}%"
        found = read_page(self._database, query, list_statements(query), values)
        rows, previous, following = cut(query, found)
        return BlueprintsPage(found.count, tuple(ListedBlueprint(*row[:-1]) for row in rows), previous, following)

    def _named(self, tenant: str, name: str) -> BlueprintsPage:
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
        """See the port."""
        values = {"blueprint": blueprint_id, "tenant": tenant, "version": version}
        expected, reserved = _EXPECTED, 0
        while True:
            row = self._database.run_with_retry(partial(_fetch_row, {**values, "expected": expected}))
            counts = _counts(row)
            if counts is None:
                return _blueprint_of(row)
            memory = _memory_of(counts)
            reserve_memory(max(memory - reserved, 0), later=max(needed(counts) - memory, 0))
            reserved, expected = max(memory, reserved), counts.size

    def memory_to_change(self, tenant: str, blueprint_id: UUID) -> int:
        """See the port."""
        values = {"blueprint": blueprint_id, "tenant": tenant, "version": None, "expected": _EXPECTED}
        try:
            counts = _counts(self._database.run_with_retry(partial(_fetch_row, values)))
        except NotFoundError:
            return 0
        return 0 if counts is None else _memory_of(counts)

    def latest_version(self, tenant: str, blueprint_id: UUID) -> int:
        """See the port."""
        return self._database.run_with_retry(lambda connection: _latest_version(connection, tenant, blueprint_id))

    def delete(self, tenant: str, blueprint_id: UUID, wanted: frozenset[int] | None) -> None:
        """See the port."""
        with self._database.connection() as connection, connection.transaction():
            connection.execute(_LOCK, {"blueprint": blueprint_id, "tenant": tenant})
            _check_version(_latest_version(connection, tenant, blueprint_id), wanted)
            connection.execute(_DELETE, {"blueprint": blueprint_id})
            _hide_composes(connection, blueprint_id)


def _lock_and_read(
    connection: psycopg.Connection[Any],
    tenant: str,
    blueprint_id: UUID,
    wanted: frozenset[int] | None,
    expected: int,
) -> Blueprint:
    """Lock a blueprint until the transaction ends, and return its latest version.

    Raises _DocumentsTooLargeError where its documents are larger than `expected` bytes.
    """
    connection.execute(_LOCK, {"blueprint": blueprint_id, "tenant": tenant})
    row = _fetch_row({"blueprint": blueprint_id, "tenant": tenant, "version": None, "expected": expected}, connection)
    _check_version(row[3], wanted)
    counts = _counts(row)
    if counts is not None:
        raise _DocumentsTooLargeError(counts)
    return _blueprint_of(row)


def _check_version(latest: int, wanted: frozenset[int] | None) -> None:
    if wanted is not None and latest not in wanted:
        raise StaleVersionError(f"The blueprint is at version {latest} now")


def _latest_version(connection: psycopg.Connection[Any], tenant: str, blueprint_id: UUID) -> int:
    row = connection.execute(_LATEST_VERSION, {"blueprint": blueprint_id, "tenant": tenant}).fetchone()
    if row is None or row[0] is None:  # a blueprint of the older program may lack its first version
        raise NotFoundError("Blueprint not found")
    return int(row[0])


def _hide_composes(connection: psycopg.Connection[Any], blueprint_id: UUID) -> None:
    shown = [row[0] for row in connection.execute(_SHOWN_COMPOSES, {"blueprint": blueprint_id})]
    for start in range(0, len(shown), _HIDDEN_AT_ONCE):
        connection.execute(_HIDE_COMPOSES, {"composes": shown[start : start + _HIDDEN_AT_ONCE]})


def _fetch_row(values: Mapping[str, Any], connection: psycopg.Connection[Any]) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(_GET, values, binary=True).fetchone()
    if row is None:
        raise NotFoundError("Blueprint not found" if values["version"] is None else "Blueprint version not found")
    return row


def _counts(row: tuple[Any, ...]) -> JsonCounts | None:
    """The counts of documents that were too large to be sent; None where the row has the documents themselves."""
    size, counts = row[5], row[8]
    if counts is None:
        return None
    wide, objects, arrays, commas, colons = counts
    return JsonCounts(size, wide == 0, objects + arrays, objects, commas + colons)


def _memory_of(counts: JsonCounts) -> int:
    """Bytes of memory that reading such documents takes."""
    return _COPIES * counts.size + _PARSED_COPIES * max(counts.parsed_size, counts.size)


def _blueprint_of(row: tuple[Any, ...]) -> Blueprint:
    found_id, name, description, number, version_id, _, body, snapshots, _, created_by, modified_by = row
    return Blueprint(
        found_id,
        name,
        description,
        number,
        version_id,
        normalize_body(_parse_document(body)),
        _parse_document(snapshots),
        created_by,
        modified_by,
    )


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
    if version.created_by:
        connection.execute(_ADD_AUTHOR, {"version_id": values["version_id"], "created_by": version.created_by})


def _jsonb(document: Any) -> Jsonb:
    return Jsonb(document, dumps=orjson.dumps)


def _parse_document(text: bytes | None) -> dict[str, Any]:
    """A stored document; empty where it cannot be parsed or is no object: PostgreSQL stores numbers and depths that the
    parser refuses.
    """
    try:
        document = orjson.loads(text or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


@contextmanager
def _translate_conflicts() -> Iterator[None]:
    """Raise RulesViolatedError for a taken name, and _VersionTakenError for a taken version or a deadlock."""
    try:
        yield
    except errors.UniqueViolation as error:
        if error.diag.table_name == "blueprints":
            raise RulesViolatedError((_NOT_UNIQUE,)) from None
        raise _VersionTakenError from error
    except errors.DeadlockDetected as error:
        raise _VersionTakenError from error
