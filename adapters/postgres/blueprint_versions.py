"""Read a version of a blueprint, and estimate the memory that its documents take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
import psycopg

from domain.blueprints.blueprint import Blueprint, normalize_body
from domain.errors import NotFoundError
from domain.json_size import JsonCounts

# The statement always returns the size of the documents. It returns the documents only up to `max_size` bytes; for
# larger ones it returns the counts of characters from which JsonCounts estimates the parsed size, by replace(), because
# translate() is 50 times slower. OFFSET 0 makes PostgreSQL convert the documents to text only once.
_SELECT_VERSION: Final = """
SELECT blueprints.id, blueprints.name, COALESCE(blueprints.description, ''), versions.version, versions.id,
       documents.size,
       CASE WHEN documents.size <= %(max_size)s::bigint THEN convert_to(documents.body, 'UTF8') END,
       CASE WHEN documents.size <= %(max_size)s::bigint THEN convert_to(documents.snapshots, 'UTF8') END,
       CASE WHEN documents.size > %(max_size)s::bigint THEN (
           SELECT ARRAY[
               documents.size - length(joined),
               documents.size - octet_length(replace(joined, '{', '')),
               documents.size - octet_length(replace(joined, '[', '')),
               documents.size - octet_length(replace(joined, ',', '')),
               documents.size - octet_length(replace(joined, ':', ''))
           ] FROM concat(documents.body, documents.snapshots) joined
       ) END,
       versions.file_version,
       (SELECT authors.created_by
        FROM blueprint_versions first JOIN blueprint_version_authors authors ON authors.version_id = first.id
        WHERE first.blueprint_id = blueprints.id AND first.version = 1),
       (SELECT created_by FROM blueprint_version_authors WHERE version_id = versions.id),
       (SELECT labels FROM blueprint_labels WHERE blueprint_id = blueprints.id)
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

# Documents of up to this many bytes are read without reserving memory for them.
UNRESERVED_MAX_BYTES: Final = 64 * 1024
# The number of copies of large documents that exist as bytes at the same time: in the driver, as the input of the
# parser, and in the buffer of the HTTP response, which grows by doubling.
RAW_COPIES: Final = 3
# The number of copies that exist in parsed form at the same time.
_PARSED_COPIES: Final = 1


class VersionRow(NamedTuple):
    """A row of `_SELECT_VERSION`: `size` is that of the documents; either these or their `counts` are None."""

    blueprint_id: UUID
    name: str
    description: str
    version: int
    version_id: UUID
    size: int
    body: bytes | None
    snapshots: bytes | None
    counts: Sequence[int] | None
    file_version: str | None
    created_by: str | None
    modified_by: str | None
    labels: Mapping[str, str] | None


def fetch_row(values: Mapping[str, Any], connection: psycopg.Connection[Any]) -> VersionRow:
    """Read a version of a blueprint, the latest if `version` is None.

    `values` are those of the statement; documents of more than `max_size` bytes are not read, but counted. Raises
    NotFoundError.
    """
    row = connection.execute(_SELECT_VERSION, values, binary=True).fetchone()
    if row is None:
        raise NotFoundError("Blueprint not found" if values["version"] is None else "Blueprint version not found")
    return VersionRow._make(row)


def get_counts(row: VersionRow) -> JsonCounts | None:
    """Return the counts of documents that were too large to be returned; None if the row has the documents."""
    if row.counts is None:
        return None
    non_ascii_bytes, objects, arrays, commas, colons = row.counts
    # The number of all objects is an upper bound of those that are not empty.
    return JsonCounts(row.size, non_ascii_bytes == 0, objects + arrays, objects, commas + colons)


def estimate_memory(counts: JsonCounts) -> int:
    """Return the bytes of memory that reading documents with these counts takes."""
    return RAW_COPIES * counts.size + _PARSED_COPIES * max(counts.parsed_size, counts.size)


def to_blueprint(row: VersionRow) -> Blueprint:
    """Return the blueprint of a row that has its documents."""
    return Blueprint(
        row.blueprint_id,
        row.name,
        row.description,
        row.version,
        row.version_id,
        normalize_body(_parse_document(row.body)),
        _parse_document(row.snapshots),
        row.file_version,
        row.created_by,
        row.modified_by,
        row.labels or {},
    )


def _parse_document(text: bytes | None) -> dict[str, Any]:
    """Return a stored document; {} if it is not an object or cannot be parsed.

    PostgreSQL accepts larger numbers and deeper nesting than orjson. No error is raised, so that the blueprint can
    still be listed, replaced and deleted.
    """
    try:
        document = orjson.loads(text or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
