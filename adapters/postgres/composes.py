"""The history of builds, in `composes`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import orjson
import psycopg
from psycopg.types.json import Jsonb

from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.storable import storable
from domain.composes import LISTED_FOR, ComposesPage, ComposesQuery, KeptCompose, ListedCompose

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

# All else is looked up for the page's rows only: LIMIT 1 keeps the planner from turning this around.
_ROWS: Final = """
SELECT listed.*
FROM ({ids}) page
CROSS JOIN LATERAL (
    SELECT composes.job_id::text, composes.request::text, composes.created_at, composes.image_name, composes.client_id,
           versions.blueprint_id::text, versions.version
    FROM composes LEFT JOIN blueprint_versions versions ON versions.id = composes.blueprint_version_id
    WHERE composes.job_id = page.job_id
    LIMIT 1
) listed
ORDER BY page.created_at DESC, page.job_id DESC
"""
_PAGE: Final = _ROWS.format(ids=_PAGE_IDS)
_PAGE_BY_TYPE: Final = _ROWS.format(ids=_PAGE_IDS_BY_TYPE)
_PAGE_OF_BLUEPRINT: Final = _ROWS.format(ids=_PAGE_IDS_OF_BLUEPRINT)

_GET: Final = """
SELECT composes.request::text, results.status::text, results.metadata::text
FROM composes LEFT JOIN compose_results results ON results.job_id = composes.job_id
WHERE composes.job_id = %(compose)s AND composes.org_id = %(tenant)s AND composes.deleted = false
"""

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
    """Fulfils ports.store.Composes."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def page(self, query: ComposesQuery) -> ComposesPage:
        """See the port. Count and page travel together."""
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

        def read(connection: psycopg.Connection[Any]) -> ComposesPage:
            with connection.pipeline():
                counted = connection.execute(count, values)
                rows = connection.execute(page, values)
            (number,) = counted.fetchone() or (0,)
            return ComposesPage(number, tuple(map(ListedCompose._make, rows.fetchall())))

        return self._database.again(read)

    def get(self, tenant: str, compose_id: UUID) -> KeptCompose | None:
        """See the port."""
        values = {"tenant": tenant, "compose": compose_id}
        row = self._database.again(lambda connection: connection.execute(_GET, values).fetchone())
        if row is None:
            return None
        request, *said = row
        return KeptCompose(request, *(None if text is None else orjson.loads(text) for text in said))

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
