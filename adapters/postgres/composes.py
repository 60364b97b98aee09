"""The history of builds, in `composes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

import orjson
import psycopg
from psycopg.types.json import Jsonb

from adapters.postgres import large_requests
from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.large_requests import LARGE, LargeRequest
from adapters.postgres.storable import storable
from domain.composes import (
    LARGEST_LIST,
    LISTED_FOR,
    ComposesPage,
    ComposesQuery,
    KeptCompose,
    KeptMetadata,
    ListedCompose,
    RequestForm,
    RequestSizes,
    forms_within,
)
from domain.json_size import parsed_size
from ports.memory import reserve_memory

# What a list shows of a tenant's builds, or of a version's. The time is fixed while a statement runs, so that an index
# can be entered there.
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

_LARGEST_LIMIT: Final = 2**63 - 1

_COUNT: Final = f"SELECT count(*) FROM composes WHERE {_LISTED}"  # noqa: S608 - constants, as all below

# An index alone tells which builds are on the page.
_PAGE_IDS: Final = f"""
SELECT job_id, created_at FROM composes WHERE {_LISTED}
ORDER BY created_at DESC, job_id DESC
LIMIT %(limit)s OFFSET %(offset)s
"""  # noqa: S608

# Where types are ignored, a page near the beginning is put together of those that are not: the builds of a type that is
# ignored are not read, however many there are. The index is walked from type to type. A build without a type, which
# only a restored database may have, is one more; the order by a type that is none has no other index taken for it.
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
# Rows that are sorted for it, of each type; a page farther behind costs less where all types are read in order.
_REACH_BY_TYPE: Final = 1000

_COUNT_OF_BLUEPRINT: Final = f"""
SELECT COALESCE(sum(of_version.count), 0)::bigint
FROM ({_VERSIONS}) versions
CROSS JOIN LATERAL (SELECT count(*) FROM composes WHERE blueprint_version_id = versions.id AND {_LISTED}) of_version
"""  # noqa: S608

# Of each version no more than could be on the page. A page far behind therefore sorts what comes before it, some
# 20 ms for 50,000 builds: no index has the builds of all versions of a blueprint in one order, since a column for that
# would be one more that older programs do not write. Types that are ignored are read, too.
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

# All else is looked up for the page's rows only: LIMIT 1 keeps the planner from turning this around. The text of a
# large request is NULL here; further statements read it. Where no size is stored, the stored bytes decide.
_ROWS: Final = """
SELECT listed.*
FROM ({ids}) page
CROSS JOIN LATERAL (
    SELECT composes.job_id::text,
           CASE WHEN composes.request_size <= {large}
                  OR composes.request_size IS NULL AND pg_column_size(composes.request) <= {stored}
                THEN composes.request::text END,
           composes.created_at, composes.image_name, composes.client_id,
           versions.blueprint_id::text, versions.version, false AS shortened
    FROM composes LEFT JOIN blueprint_versions versions ON versions.id = composes.blueprint_version_id
    WHERE composes.job_id = page.job_id
    LIMIT 1
) listed
ORDER BY page.created_at DESC, page.job_id DESC
"""
# PostgreSQL compresses only rows larger than about 2,000 bytes: a request of fewer stored bytes is most likely small.
_STORED: Final = 2000
_PAGE: Final = _ROWS.format(ids=_PAGE_IDS, large=LARGE, stored=_STORED)
_PAGE_BY_TYPE: Final = _ROWS.format(ids=_PAGE_IDS_BY_TYPE, large=LARGE, stored=_STORED)
_PAGE_OF_BLUEPRINT: Final = _ROWS.format(ids=_PAGE_IDS_OF_BLUEPRINT, large=LARGE, stored=_STORED)

# PostgreSQL makes the text of each document once. It sends a document of at most `expected` bytes, and the size of any.
_GET: Final = f"""
SELECT COALESCE(composes.request_size, octet_length(request.as_text)),
       CASE WHEN octet_length(request.as_text) <= {LARGE} THEN request.as_text END,
       octet_length(status.as_text),
       CASE WHEN octet_length(status.as_text) <= %(expected)s::bigint THEN convert_to(status.as_text, 'UTF8') END
FROM composes
CROSS JOIN LATERAL (
    SELECT CASE WHEN composes.request_size > {LARGE} THEN NULL ELSE composes.request::text END AS as_text OFFSET 0
) request
LEFT JOIN compose_results results ON results.job_id = composes.job_id
LEFT JOIN LATERAL (SELECT results.status::text AS as_text OFFSET 0) status ON true
WHERE composes.job_id = %(compose)s AND composes.org_id = %(tenant)s AND composes.deleted = false
"""  # noqa: S608

_GET_METADATA: Final = """
SELECT results.job_id IS NOT NULL, octet_length(metadata.as_text),
       CASE WHEN octet_length(metadata.as_text) <= %(expected)s::bigint
            THEN convert_to(metadata.as_text, 'UTF8') END
FROM composes
LEFT JOIN compose_results results ON results.job_id = composes.job_id
LEFT JOIN LATERAL (SELECT results.metadata::text AS as_text OFFSET 0) metadata ON true
WHERE composes.job_id = %(compose)s AND composes.org_id = %(tenant)s AND composes.deleted = false
"""
# Bytes of a document that the first statement reads, without a reservation of memory.
_EXPECTED: Final = 64 * 1024
# How often the bytes of a document are held at once: as the driver got them, as they are handed on, and in an answer
# that grows by doubling.
_COPIES: Final = 4

# Bytes of an item of a list besides its request.
_ITEM: Final = 512

# A compose that maintenance has removed meanwhile needs no result.
_KEEP_STATUS: Final = """
INSERT INTO compose_results (job_id, status)
SELECT job_id, %(status)s FROM composes WHERE job_id = %(compose)s
ON CONFLICT (job_id) DO NOTHING
"""

_KEEP_METADATA: Final = """
UPDATE compose_results SET metadata = %(metadata)s WHERE job_id = %(compose)s AND metadata IS NULL
"""

_DELETE: Final = "UPDATE composes SET deleted = true WHERE job_id = %(compose)s AND org_id = %(tenant)s"


class PostgresComposes:
    """Fulfils ports.store.Composes; the requests of a page are at most `largest_list` bytes together."""

    def __init__(self, database: PostgresDatabase, largest_list: int = LARGEST_LIST) -> None:
        self._database = database
        self._largest_list = largest_list

    def page(self, query: ComposesQuery) -> ComposesPage:
        """See the port. Count and page travel together; where requests are large, they follow."""
        reach = min(query.page.limit + query.page.offset, _LARGEST_LIMIT)
        values = {
            "tenant": query.tenant,
            "listed_for": LISTED_FOR,
            "ignored": list(query.ignored),
            "blueprint": query.blueprint,
            "version": query.version,
            "limit": query.page.limit,
            "offset": query.page.offset,
            "reach": reach,
        }

        count, page = _COUNT, _PAGE
        if query.blueprint is not None:
            count, page = _COUNT_OF_BLUEPRINT, _PAGE_OF_BLUEPRINT
        elif query.ignored and reach <= _REACH_BY_TYPE:
            page = _PAGE_BY_TYPE

        def read(connection: psycopg.Connection[Any]) -> tuple[int, list[ListedCompose]]:
            with connection.pipeline():
                counted = connection.execute(count, values)
                rows = connection.execute(page, values)
            (number,) = counted.fetchone() or (0,)
            return number, list(map(ListedCompose._make, rows.fetchall()))

        number, composes = self._database.again(read)
        requests = [compose.request for compose in composes]  # None for a large one
        if None in requests or sum(map(len, requests)) > self._largest_list:
            composes = self._with_large(composes)
        else:
            reserve_memory(_COPIES * sum(map(len, requests)))
        return ComposesPage(number, tuple(composes))

    def _with_large(self, composes: Sequence[ListedCompose]) -> list[ListedCompose]:
        """These composes with their large requests, in such forms that the page is not too large."""
        texts = {each.id: each.request for each in composes if each.request is not None and len(each.request) <= LARGE}
        small, large = large_requests.measure(self._database, [each.id for each in composes if each.id not in texts])
        texts.update(small)
        sizes = {key: RequestSizes(*[len(text)] * 3) for key, text in texts.items()}
        sizes.update({key: request.sizes for key, request in large.items()})
        chosen = forms_within(list(sizes.values()), self._largest_list - _ITEM * len(sizes))
        forms = dict(zip(sizes, chosen, strict=True))
        reserve_memory(_COPIES * sum(each.of(forms[key]) for key, each in sizes.items()))
        texts.update(large_requests.read(self._database, large, forms))
        return [
            each._replace(request=texts[each.id], shortened=forms[each.id] != RequestForm.WHOLE)
            for each in composes
            if each.id in texts  # else it has been removed meanwhile
        ]

    def get(self, tenant: str, compose_id: UUID) -> KeptCompose | None:
        """See the port."""
        values = {"tenant": tenant, "compose": compose_id}
        row = self._sized(_GET, values)
        if row is None:
            return None
        request_size, request, _, status = row
        if request is None:
            reserve_memory(_COPIES * request_size)
            key = str(compose_id)
            large = LargeRequest.of(request_size, None, None)
            request = large_requests.read(self._database, {key: large}, {key: RequestForm.WHOLE}).get(key)
            if request is None:
                return None
        return KeptCompose(request, None if status is None else _parsed(status))

    def get_metadata(self, tenant: str, compose_id: UUID) -> KeptMetadata | None:
        """See the port."""
        row = self._sized(_GET_METADATA, {"tenant": tenant, "compose": compose_id})
        return None if row is None else KeptMetadata(row[0], row[2])

    def _sized(self, statement: str, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The row, whose last two columns are a document and before it its size; memory is reserved for a large one."""
        expected = _EXPECTED
        while True:
            row = self._database.again(partial(_one, statement, {**values, "expected": expected}))
            if row is None or row[-2] is None or row[-1] is not None:
                return row
            expected = row[-2]
            reserve_memory(_COPIES * expected)

    def keep_status(self, compose_id: UUID, status: Mapping[str, Any]) -> None:
        """See the port."""
        values = {"compose": compose_id, "status": Jsonb(storable(status), dumps=orjson.dumps)}
        self._database.again(lambda connection: connection.execute(_KEEP_STATUS, values))

    def keep_metadata(self, compose_id: UUID, metadata: Mapping[str, Any]) -> None:
        """See the port."""
        values = {"compose": compose_id, "metadata": Jsonb(storable(metadata), dumps=orjson.dumps)}
        self._database.again(lambda connection: connection.execute(_KEEP_METADATA, values))

    def delete(self, tenant: str, compose_id: UUID) -> bool:
        """See the port."""
        values = {"tenant": tenant, "compose": compose_id}
        return self._database.again(lambda connection: connection.execute(_DELETE, values).rowcount) == 1


def _one(statement: str, values: Mapping[str, Any], connection: psycopg.Connection[Any]) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None = connection.execute(statement.encode(), values, binary=True).fetchone()
    return row


def _parsed(document: bytes) -> Any:
    if len(document) > _EXPECTED:
        reserve_memory(parsed_size(document))
    return orjson.loads(document)
