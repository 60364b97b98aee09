"""Bills of materials of builds, in the table `compose_sboms`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import psycopg

from adapters.postgres.connection import PostgresDatabase
from domain.sboms import Sbom
from ports.memory import reserve_memory
from ports.sboms import StoredSboms

_FIND: Final = """
SELECT EXISTS (SELECT 1 FROM compose_results results WHERE results.job_id = composes.job_id),
       (SELECT COALESCE(sum(octet_length(document)) FILTER (WHERE purpose = %(purpose)s), 0)::bigint
        FROM compose_sboms sboms WHERE sboms.job_id = composes.job_id HAVING count(*) > 0)
FROM composes
WHERE job_id = %(compose)s AND org_id = %(tenant)s AND deleted = false
"""
_READ: Final = """
SELECT pipeline, purpose, media_type, document FROM compose_sboms
WHERE job_id = %(compose)s AND purpose = %(purpose)s
ORDER BY position
"""
# Inserts nothing for a compose that the maintenance has removed meanwhile.
_STORE: Final = """
INSERT INTO compose_sboms (job_id, position, pipeline, purpose, media_type, document)
SELECT job_id, %(position)s, %(pipeline)s, %(purpose)s, %(media_type)s, %(document)s
FROM composes WHERE job_id = %(compose)s
ON CONFLICT (job_id, position) DO NOTHING
"""
# How many copies of the documents exist at once: in the driver, as the value that is returned, and in the answer's
# buffer, which grows by doubling.
_COPIES: Final = 4
# Bytes that are read without a reservation of memory.
_SMALL: Final = 64 * 1024


class PostgresSboms:
    """Implements ports.sboms.Sboms."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def get(self, tenant: str, compose_id: UUID, purpose: str) -> StoredSboms | None:
        """Implements `Sboms.get`."""
        values = {"tenant": tenant, "compose": compose_id, "purpose": purpose}
        found = self._database.run_with_retry(lambda connection: connection.execute(_FIND, values).fetchone())
        if found is None:
            return None
        ended, size = found
        if not size:
            return StoredSboms(ended, None if size is None else ())
        if size > _SMALL:
            reserve_memory(_COPIES * size)
        rows = self._database.run_with_retry(lambda connection: connection.execute(_READ, values).fetchall())
        return StoredSboms(ended, tuple(Sbom(*row) for row in rows))

    def store(self, compose_id: UUID, sboms: Sequence[Sbom]) -> None:
        """Implements `Sboms.store`."""

        def work(connection: psycopg.Connection[Any]) -> None:
            with connection.transaction():
                for position, sbom in enumerate(sboms):
                    values = {
                        "compose": compose_id,
                        "position": position,
                        "pipeline": sbom.pipeline,
                        "purpose": sbom.purpose,
                        "media_type": sbom.media_type,
                        "document": sbom.document,
                    }
                    connection.execute(_STORE, values)

        self._database.run_with_retry(work)
