"""The history of builds, in `composes`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import orjson
import psycopg
from psycopg.types.json import Jsonb

from adapters.postgres.connection import PostgresDatabase
from domain.composes import LISTED_FOR, ComposesPage, ComposesQuery, KeptCompose, ListedCompose

_MATCHING: Final = """
FROM composes
WHERE org_id = %(tenant)s
  AND deleted = false
  AND created_at >= (clock_timestamp() AT TIME ZONE 'utc') - %(listed_for)s::interval
  AND (%(ignored)s::text[] IS NULL
       OR COALESCE(request #>> '{image_requests,0,image_type}', '') <> ALL (%(ignored)s::text[]))
  AND (%(blueprint)s::uuid IS NULL
       OR blueprint_version_id IN (SELECT id FROM blueprint_versions
                                   WHERE blueprint_id = %(blueprint)s::uuid
                                     AND (%(version)s::bigint IS NULL OR version = %(version)s::bigint)))
"""

_COUNT: Final = f"SELECT count(*) {_MATCHING}"

# The blueprint is looked up for the page's rows only.
_PAGE: Final = f"""
SELECT page.job_id::text, page.request, page.created_at, page.image_name, page.client_id,
       versions.blueprint_id::text, versions.version
FROM (
    SELECT job_id, request::text AS request, created_at, image_name, client_id, blueprint_version_id
    {_MATCHING}
    ORDER BY created_at DESC, job_id DESC
    LIMIT %(limit)s OFFSET %(offset)s
) page
LEFT JOIN blueprint_versions versions ON versions.id = page.blueprint_version_id
ORDER BY page.created_at DESC, page.job_id DESC
"""  # noqa: S608 - two constants

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
        values = {
            "tenant": query.tenant,
            "listed_for": LISTED_FOR,
            "ignored": list(query.ignored) or None,
            "blueprint": query.blueprint,
            "version": query.version,
            "limit": query.page.limit,
            "offset": query.page.offset,
        }

        def read(connection: psycopg.Connection[Any]) -> ComposesPage:
            with connection.pipeline():
                counted = connection.execute(_COUNT, values)
                rows = connection.execute(_PAGE, values)
            (count,) = counted.fetchone() or (0,)
            return ComposesPage(count, tuple(map(ListedCompose._make, rows.fetchall())))

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
        values = {"compose": compose_id, "status": Jsonb(status, dumps=orjson.dumps)}
        self._database.again(lambda connection: connection.execute(_KEEP_STATUS, values))

    def keep_metadata(self, compose_id: UUID, metadata: Mapping[str, Any]) -> None:
        """See the port."""
        values = {"compose": compose_id, "metadata": Jsonb(metadata, dumps=orjson.dumps)}
        self._database.again(lambda connection: connection.execute(_KEEP_METADATA, values))

    def delete(self, tenant: str, compose_id: UUID) -> bool:
        """See the port."""
        values = {"tenant": tenant, "compose": compose_id}
        return self._database.again(lambda connection: connection.execute(_DELETE, values).rowcount) == 1
