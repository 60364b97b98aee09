"""Starts that were left behind in `compose_starts`, and who looks after them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import psycopg

from adapters.postgres.connection import PostgresDatabase
from domain.starts import Adoption, LeftStart

_LEAD: Final = """
INSERT INTO reconciler (pod, until)
VALUES (%(pod)s, clock_timestamp() AT TIME ZONE 'utc' + %(term)s::interval)
ON CONFLICT (only_row) DO UPDATE SET pod = EXCLUDED.pod, until = EXCLUDED.until
WHERE reconciler.pod = EXCLUDED.pod OR reconciler.until < clock_timestamp() AT TIME ZONE 'utc'
RETURNING pod
"""

# An older version of this service records no fingerprint.
_LEFT: Final = """
SELECT id, fingerprint, statement_timestamp() AT TIME ZONE 'utc' - created_at, blueprint_version_id IS NOT NULL
FROM compose_starts
WHERE created_at < statement_timestamp() AT TIME ZONE 'utc' - %(lease)s::interval
  AND created_at > statement_timestamp() AT TIME ZONE 'utc' - %(patience)s::interval
  AND fingerprint IS NOT NULL
ORDER BY created_at, id LIMIT %(most)s
"""

_COUNT: Final = """
SELECT count(*) FROM compose_starts WHERE created_at < statement_timestamp() AT TIME ZONE 'utc' - %(lease)s::interval
"""

_KNOWN: Final = "SELECT job_id FROM composes WHERE job_id = ANY (%(composes)s)"

# The compose is as old as its start. Whoever is first records the build, and only then is the start gone: the pod that
# began it may be slow and still alive.
_ADOPT: Final = """
WITH start AS (
    SELECT * FROM compose_starts WHERE id = %(start)s FOR UPDATE
), source AS (
    SELECT versions.id, blueprints.deleted
    FROM blueprint_versions versions JOIN blueprints ON blueprints.id = versions.blueprint_id
    WHERE versions.id = (SELECT blueprint_version_id FROM start)
    FOR SHARE OF blueprints
), recorded AS (
    INSERT INTO composes (job_id, request, created_at, account_number, org_id, email, image_name, client_id,
                          blueprint_version_id, deleted)
    SELECT %(compose)s::uuid, compose->'request', created_at, compose->>'account_number', org_id, compose->>'email',
           compose->>'image_name', compose->>'client_id', (SELECT id FROM source),
           COALESCE((SELECT deleted FROM source), false)
    FROM start
    ON CONFLICT (job_id) DO NOTHING
    RETURNING job_id
), told AS (
    UPDATE idempotency_keys SET made[start.position] = recorded.job_id FROM start, recorded
    WHERE idempotency_keys.id = start.key_id
)
DELETE FROM compose_starts WHERE id = %(start)s AND EXISTS (SELECT 1 FROM recorded) RETURNING id
"""


class PostgresLeftStarts:
    """Fulfils ports.store.LeftStarts."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def lead(self, pod: UUID, term: timedelta) -> bool:
        """See the port."""
        values = {"pod": pod, "term": term}
        return self._database.again(lambda connection: connection.execute(_LEAD, values).fetchone()) is not None

    def left(self, lease: timedelta, patience: timedelta, most: int) -> Sequence[LeftStart]:
        """See the port."""
        values = {"lease": lease, "patience": patience, "most": most}
        rows = self._database.again(lambda connection: connection.execute(_LEFT, values).fetchall())
        return [LeftStart(*row) for row in rows]

    def count(self, lease: timedelta) -> int:
        """See the port."""
        rows = self._database.again(lambda connection: connection.execute(_COUNT, {"lease": lease}).fetchall())
        return int(rows[0][0])

    def known(self, composes: Collection[UUID]) -> frozenset[UUID]:
        """See the port."""
        values = {"composes": list(composes)}
        rows = self._database.again(lambda connection: connection.execute(_KNOWN, values).fetchall())
        return frozenset(row[0] for row in rows)

    def adopt(self, adoption: Adoption) -> bool:
        """See the port."""
        values = {"start": adoption.start, "compose": adoption.compose}

        def work(connection: psycopg.Connection[Any]) -> bool:
            return connection.execute(_ADOPT, values).fetchone() is not None

        return self._database.again(work)
