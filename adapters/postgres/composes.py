"""The history of builds, in the tables `composes` and `compose_results`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb

from adapters.postgres import compose_lists, large_requests
from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.large_requests import LARGE, LargeRequest
from adapters.postgres.pages import read_page, rows_and_cursors
from adapters.postgres.server_monitor import MonitoredConnection
from adapters.postgres.storable import remove_nul
from domain.composes import (
    LARGEST_LIST,
    BuildTimes,
    ComposesPage,
    ComposesQuery,
    ListedCompose,
    RequestForm,
    RequestSizes,
    SeenStatus,
    StoredCompose,
    StoredMetadata,
    choose_forms,
)
from domain.json_size import parsed_size
from domain.labels import Labels
from ports.memory import reserve_memory

# The condition for builds that lists show. `statement_timestamp` is constant while a statement runs, so that PostgreSQL
# can use it to search an index.
_LISTED: Final = """
      org_id = %(tenant)s
  AND deleted = false
  AND created_at >= (statement_timestamp() AT TIME ZONE 'utc') - %(listed_for)s::interval
  AND COALESCE(image_type, '') <> ALL (%(ignored)s::text[])
"""

_VERSIONS: Final = """
SELECT id FROM blueprint_versions
WHERE blueprint_id = %(blueprint)s AND (%(version)s::bigint IS NULL OR version = %(version)s::bigint)
"""

# The largest LIMIT that PostgreSQL accepts.
_MAX_LIMIT: Final = 2**63 - 1

# Finds the builds of the page by an index-only scan.
_PAGE_IDS: Final = f"""
SELECT job_id, created_at FROM composes WHERE {_LISTED}
ORDER BY created_at DESC, job_id DESC
LIMIT %(limit)s OFFSET %(offset)s
"""  # noqa: S608 - constants, as all below

# If image types are ignored, a page near the beginning is merged from the types that are not: builds of ignored
# types are not read, however many there are. The recursive query walks the index from type to type. Builds without a
# type, which only a restored database has, are one more group; their ORDER BY names the type so that the planner uses
# the same index.
_PAGE_IDS_BY_TYPE: Final = f"""
WITH RECURSIVE types (image_type) AS (
    (SELECT image_type FROM composes WHERE org_id = %(tenant)s AND deleted = false ORDER BY image_type LIMIT 1)
    UNION ALL
    SELECT (SELECT image_type FROM composes
            WHERE org_id = %(tenant)s AND deleted = false AND image_type > types.image_type
            ORDER BY image_type LIMIT 1)
    FROM types WHERE image_type IS NOT NULL
)
SELECT job_id, created_at
FROM (
    SELECT of_type.*
    FROM types
    CROSS JOIN LATERAL (
        SELECT job_id, created_at FROM composes WHERE image_type = types.image_type AND {_LISTED}
        ORDER BY created_at DESC, job_id DESC
        LIMIT %(reach)s
    ) of_type
    WHERE types.image_type <> ALL (%(ignored)s::text[])
    UNION ALL
    (SELECT job_id, created_at FROM composes WHERE image_type IS NULL AND {_LISTED}
     ORDER BY image_type, created_at DESC, job_id DESC
     LIMIT %(reach)s)
) listed
ORDER BY created_at DESC, job_id DESC
LIMIT %(limit)s OFFSET %(offset)s
"""  # noqa: S608
# The last row (offset + limit) up to which `_PAGE_IDS_BY_TYPE` is used. For a page further on, reading all types in
# order costs less than sorting.
_REACH_BY_TYPE: Final = 1000

_COUNT_OF_BLUEPRINT: Final = f"""
SELECT COALESCE(sum(of_version.count), 0)::bigint
FROM ({_VERSIONS}) versions
CROSS JOIN LATERAL (SELECT count(*) FROM composes WHERE blueprint_version_id = versions.id AND {_LISTED}) of_version
"""  # noqa: S608

# Reads only as many builds of each version as the page could contain. A page far from the beginning therefore sorts all
# builds before it (20 ms for 50,000 builds): no index orders the builds of all versions of a blueprint, because that
# would need a column that older programs do not write. Builds of ignored types are read, too.
_PAGE_IDS_OF_BLUEPRINT: Final = f"""
SELECT of_version.job_id, of_version.created_at
FROM ({_VERSIONS}) versions
CROSS JOIN LATERAL (
    SELECT job_id, created_at FROM composes WHERE blueprint_version_id = versions.id AND {_LISTED}
    ORDER BY created_at DESC, job_id DESC
    LIMIT %(reach)s
) of_version
ORDER BY of_version.created_at DESC, of_version.job_id DESC
LIMIT %(limit)s OFFSET %(offset)s
"""  # noqa: S608

# The other columns are looked up for the rows of the page only: LIMIT 1 keeps the planner from joining the other way
# round. The text of a large request is NULL here, because further statements read it. If no size is stored, the
# stored bytes decide.
_ROWS: Final = """
SELECT listed.*
FROM ({ids}) page
CROSS JOIN LATERAL (
    SELECT composes.job_id::text,
           CASE WHEN composes.request_size <= {large}
                  OR composes.request_size IS NULL AND pg_column_size(composes.request) <= {stored}
                THEN composes.request::text END,
           composes.created_at, composes.image_name, composes.client_id,
           versions.blueprint_id::text, versions.version, false AS shortened,
           CASE WHEN octet_length(status.as_text) > {max_status}
                THEN jsonb_build_object('status', status.as_text::jsonb -> 'status')::text
                ELSE status.as_text END,
           authors.created_by, labels.labels::text, composes.request_as_shown IS TRUE, page.{key}::text AS key
    FROM composes LEFT JOIN blueprint_versions versions ON versions.id = composes.blueprint_version_id
    LEFT JOIN compose_authors authors ON authors.job_id = composes.job_id
    LEFT JOIN compose_labels labels ON labels.job_id = composes.job_id AND labels.labels <> '{{}}'
    LEFT JOIN compose_results results ON results.job_id = composes.job_id
    LEFT JOIN compose_statuses known ON known.job_id = composes.job_id
    LEFT JOIN LATERAL (SELECT COALESCE(results.status, known.status)::text AS as_text OFFSET 0) status ON true
    WHERE composes.job_id = page.job_id
    LIMIT 1
) listed
ORDER BY {order}
"""
_NEWEST_FIRST: Final = "page.created_at DESC, page.job_id DESC"
# Stored bytes up to which a request counts as small if its size is not stored: PostgreSQL compresses only rows larger
# than about 2,000 bytes.
_SMALL_STORED_SIZE: Final = 2000
# Bytes of a status that a list shows whole: the details of an error may be many times as large.
_MAX_LISTED_STATUS: Final = 8 * 1024
_LIMITS: Final = {"large": LARGE, "stored": _SMALL_STORED_SIZE, "max_status": _MAX_LISTED_STATUS}


def page_statement(ids: str, key: str = "created_at", order: str = _NEWEST_FIRST) -> str:
    """Return the statement that reads the rows of a page; its last column is the key of a cursor."""
    return _ROWS.format(ids=ids, key=key, order=order, **_LIMITS)


_PAGE: Final = page_statement(_PAGE_IDS)
_PAGE_BY_TYPE: Final = page_statement(_PAGE_IDS_BY_TYPE)
_PAGE_OF_BLUEPRINT: Final = page_statement(_PAGE_IDS_OF_BLUEPRINT)

# The statement always returns the size of a document. It returns the document only up to `max_size` bytes. OFFSET 0
# makes PostgreSQL convert each document to text only once. `status` is the final status if there is one.
_GET: Final = f"""
SELECT COALESCE(composes.request_size, octet_length(request.as_text)),
       CASE WHEN octet_length(request.as_text) <= {LARGE} THEN request.as_text END,
       composes.created_at, composes.image_name, composes.client_id, versions.blueprint_id, versions.version,
       reruns.rerun_of, authors.created_by, labels.labels, known.started_at, known.finished_at,
       results.job_id IS NOT NULL,
       GREATEST(statement_timestamp() AT TIME ZONE 'utc' - known.looked_at, interval '0'),
       octet_length(status.as_text),
       CASE WHEN octet_length(status.as_text) <= %(max_size)s::bigint THEN convert_to(status.as_text, 'UTF8') END
FROM composes
CROSS JOIN LATERAL (
    SELECT CASE WHEN composes.request_size > {LARGE} THEN NULL ELSE composes.request::text END AS as_text OFFSET 0
) request
LEFT JOIN blueprint_versions versions ON versions.id = composes.blueprint_version_id
LEFT JOIN compose_results results ON results.job_id = composes.job_id
LEFT JOIN compose_statuses known ON known.job_id = composes.job_id
LEFT JOIN compose_authors authors ON authors.job_id = composes.job_id
LEFT JOIN compose_reruns reruns ON reruns.job_id = composes.job_id
LEFT JOIN compose_labels labels ON labels.job_id = composes.job_id
LEFT JOIN LATERAL (SELECT COALESCE(results.status, known.status)::text AS as_text OFFSET 0) status ON true
WHERE composes.job_id = %(compose)s AND composes.org_id = %(tenant)s AND composes.deleted = false
"""  # noqa: S608

_GET_METADATA: Final = """
SELECT results.job_id IS NOT NULL, octet_length(metadata.as_text),
       CASE WHEN octet_length(metadata.as_text) <= %(max_size)s::bigint
            THEN convert_to(metadata.as_text, 'UTF8') END
FROM composes
LEFT JOIN compose_results results ON results.job_id = composes.job_id
LEFT JOIN LATERAL (SELECT results.metadata::text AS as_text OFFSET 0) metadata ON true
WHERE composes.job_id = %(compose)s AND composes.org_id = %(tenant)s AND composes.deleted = false
"""
# Documents of up to this many bytes are read without reserving memory for them.
_UNRESERVED_MAX_BYTES: Final = 64 * 1024
# The number of copies of a document that exist at the same time: in the driver, as the value that this module returns,
# and in the buffer of the HTTP response, which grows by doubling.
_COPIES: Final = 4

# The bytes of a list item without its request.
_ITEM_SIZE: Final = 512

_STORE_METADATA: Final = """
UPDATE compose_results SET metadata = %(metadata)s WHERE job_id = %(compose)s AND metadata IS NULL
"""

# FOR SHARE waits for a deletion in progress, and for `compose_list_entries_fill`, which would otherwise add the entry
# of the build with its earlier labels.
_REPLACE_LABELS: Final = """
WITH compose AS (
    SELECT job_id FROM composes WHERE job_id = %(compose)s AND org_id = %(tenant)s AND deleted = false FOR SHARE
)
INSERT INTO compose_labels (job_id, labels) SELECT job_id, %(labels)s FROM compose
ON CONFLICT (job_id) DO UPDATE SET labels = EXCLUDED.labels
"""

_DELETE: Final = "UPDATE composes SET deleted = true WHERE job_id = %(compose)s AND org_id = %(tenant)s"


class PostgresComposes:
    """Implements ports.store.Composes. `largest_list` limits the requests of a page, in bytes."""

    def __init__(self, database: PostgresDatabase, largest_list: int = LARGEST_LIST) -> None:
        self._database = database
        self._largest_list = largest_list

    def find_page(self, query: ComposesQuery) -> ComposesPage:
        """Implements `Composes.find_page`.

        One round trip reads the count and the page; further ones read large requests.
        """
        count, page, probe = _statements(query)
        values = {**compose_lists.values_of(query), "reach": min(_reach(query), _MAX_LIMIT)}
        found = read_page(self._database, query, (count, page, probe), values)
        rows, previous, following = rows_and_cursors(query, found)
        composes = [ListedCompose._make(row[:-1]) for row in rows]
        requests = [compose.request for compose in composes]  # None for a large one
        if None in requests or (size := sum(map(len, requests))) > self._largest_list:
            composes = self._add_large_requests(composes)
            size = 0  # their memory is reserved
        others = [text for compose in composes for text in (compose.status, compose.labels) if text]
        reserve_memory(_COPIES * (size + sum(map(len, others))))
        return ComposesPage(found.count, tuple(composes), previous, following)

    def _add_large_requests(self, composes: Sequence[ListedCompose]) -> list[ListedCompose]:
        """Return these composes with their large requests, abridged so that the page stays within its limit."""
        texts = {each.id: each.request for each in composes if each.request is not None and len(each.request) <= LARGE}
        small, large = large_requests.measure(self._database, [each.id for each in composes if each.id not in texts])
        texts.update(small)
        sizes = {key: RequestSizes(*[len(text)] * 3) for key, text in texts.items()}
        sizes.update({key: request.sizes for key, request in large.items()})
        chosen = choose_forms(list(sizes.values()), self._largest_list - _ITEM_SIZE * len(sizes))
        forms = dict(zip(sizes, chosen, strict=True))
        reserve_memory(_COPIES * sum(each.size_of(forms[key]) for key, each in sizes.items()))
        texts.update(large_requests.read(self._database, large, forms))
        return [
            each._replace(request=texts[each.id], shortened=forms[each.id] != RequestForm.WHOLE)
            for each in composes
            if each.id in texts  # otherwise the compose was removed in the meantime
        ]

    def get(self, tenant: str, compose_id: UUID) -> StoredCompose | None:
        """Implements `Composes.get`."""
        values = {"tenant": tenant, "compose": compose_id}
        row = self._fetch_row_with_document(_GET, values)
        if row is None:
            return None
        request_size, request, *facts, _, status = row
        if request is None:
            reserve_memory(_COPIES * request_size)
            key = str(compose_id)
            large = LargeRequest.with_forms(request_size, None, None)
            request = large_requests.read(self._database, {key: large}, {key: RequestForm.WHOLE}).get(key)
            if request is None:
                return None
        return _stored_compose(request, facts, None if status is None else _parse(status))

    def get_metadata(self, tenant: str, compose_id: UUID) -> StoredMetadata | None:
        """Implements `Composes.get_metadata`."""
        row = self._fetch_row_with_document(_GET_METADATA, {"tenant": tenant, "compose": compose_id})
        return None if row is None else StoredMetadata(row[0], row[2])

    def _fetch_row_with_document(self, statement: str, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Return the row of a statement whose last two columns are the size of a document and the document.

        Returns None if there is no row. Reserves memory for a large document before reading it.
        """
        max_size = _UNRESERVED_MAX_BYTES
        while True:
            row = self._database.run_with_retry(partial(_fetch_row, statement, {**values, "max_size": max_size}))
            if row is None or row[-2] is None or row[-1] is not None:
                return row
            max_size = row[-2]
            reserve_memory(_COPIES * max_size)

    def store_metadata(self, compose_id: UUID, metadata: Mapping[str, Any]) -> None:
        """Implements `Composes.store_metadata`."""
        values = {"compose": compose_id, "metadata": Jsonb(remove_nul(metadata), dumps=orjson.dumps)}
        self._database.run_with_retry(lambda connection: connection.execute(_STORE_METADATA, values))

    def replace_labels(self, tenant: str, compose_id: UUID, labels: Labels) -> bool:
        """Implements `Composes.replace_labels`."""
        values = {"tenant": tenant, "compose": compose_id, "labels": Jsonb(labels, dumps=orjson.dumps)}
        cursor = self._database.run_with_retry(lambda connection: connection.execute(_REPLACE_LABELS, values))
        return cursor.rowcount == 1

    def delete(self, tenant: str, compose_id: UUID) -> bool:
        """Implements `Composes.delete`."""
        values = {"tenant": tenant, "compose": compose_id}
        return self._database.run_with_retry(lambda connection: connection.execute(_DELETE, values).rowcount) == 1


def _reach(query: ComposesQuery) -> int:
    return query.page.limit + query.page.offset


def _statements(query: ComposesQuery) -> tuple[str, str, str | None]:
    """The statements that count the builds of a list, read its page, and look for builds before a cursor."""
    if not compose_lists.is_plain(query):
        found = compose_lists.list_statements(query)
        return found.count, page_statement(found.ids, found.key, found.order), found.probe
    if query.blueprint is not None:
        return _COUNT_OF_BLUEPRINT, _PAGE_OF_BLUEPRINT, None
    by_type = query.ignored and _reach(query) <= _REACH_BY_TYPE
    return compose_lists.count_statement(query), _PAGE_BY_TYPE if by_type else _PAGE, None


def _stored_compose(request: str | bytes, facts: Sequence[Any], status: Mapping[str, Any] | None) -> StoredCompose:
    """A compose from the columns of _GET, and the parsed document of its status."""
    created_at, image_name, client_id, blueprint_id, version, rerun_of, created_by, labels, *times, is_final, age = (
        facts
    )
    return StoredCompose(
        request,
        created_at,
        image_name,
        client_id,
        blueprint_id,
        version,
        rerun_of,
        created_by,
        labels or {},
        status=status if is_final else None,
        seen=None if is_final or status is None else SeenStatus(status, age),
        times=BuildTimes(*times),
    )


def _fetch_row(statement: str, values: Mapping[str, Any], connection: MonitoredConnection) -> tuple[Any, ...] | None:
    rows = connection.fetch(statement, values, binary=True)
    return rows[0] if rows else None


def _parse(document: bytes) -> Any:
    if len(document) > _UNRESERVED_MAX_BYTES:
        reserve_memory(parsed_size(document))
    return orjson.loads(document)
