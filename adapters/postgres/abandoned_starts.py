"""Abandoned starts in the table `compose_starts`, and the leadership of the pod that reconciles them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import psycopg

from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.leadership import ACQUIRE_RECONCILER, acquire
from domain.starts import AbandonedStart, Adoption

# Rows that older versions of this service wrote have no fingerprint; they cannot be matched with builds.
_FIND_ABANDONED: Final = """
SELECT id, fingerprint, statement_timestamp() AT TIME ZONE 'utc' - created_at, blueprint_version_id IS NOT NULL
FROM compose_starts
WHERE created_at < statement_timestamp() AT TIME ZONE 'utc' - %(lease)s::interval
  AND created_at > statement_timestamp() AT TIME ZONE 'utc' - %(max_age)s::interval
  AND fingerprint IS NOT NULL
ORDER BY created_at, id LIMIT %(limit)s
"""

_COUNT: Final = """
SELECT count(*) FROM compose_starts WHERE created_at < statement_timestamp() AT TIME ZONE 'utc' - %(lease)s::interval
"""

_FIND_RECORDED: Final = "SELECT job_id FROM composes WHERE job_id = ANY (%(composes)s)"

# The compose gets the creation time of its start. The start is removed only if this statement records the build: the
# pod that reserved the start may be slow but alive, and may record the build itself.
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
), rerun AS (
    INSERT INTO compose_reruns (job_id, rerun_of)
    SELECT job_id, (compose->>'rerun_of')::uuid FROM start, recorded WHERE compose->>'rerun_of' IS NOT NULL
), author AS (
    INSERT INTO compose_authors (job_id, created_by)
    SELECT job_id, compose->>'created_by' FROM start, recorded WHERE compose->>'created_by' IS NOT NULL
), labelled AS (
    INSERT INTO compose_labels (job_id, labels)
    SELECT job_id, compose->'labels' FROM start, recorded WHERE compose->'labels' IS NOT NULL
), key_updated AS (
    UPDATE idempotency_keys SET made[start.position] = recorded.job_id FROM start, recorded
    WHERE idempotency_keys.id = start.key_id
)
DELETE FROM compose_starts WHERE id = %(start)s AND EXISTS (SELECT 1 FROM recorded) RETURNING id
"""


class PostgresAbandonedStarts:
    """Implements ports.store.AbandonedStarts."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def acquire_leadership(self, pod: UUID, term: timedelta) -> bool:
        """Implements `AbandonedStarts.acquire_leadership`."""
        return acquire(self._database, ACQUIRE_RECONCILER, pod, term)

    def find_abandoned(self, lease: timedelta, max_age: timedelta, limit: int) -> Sequence[AbandonedStart]:
        """Implements `AbandonedStarts.find_abandoned`."""
        values = {"lease": lease, "max_age": max_age, "limit": limit}
        rows = self._database.run_with_retry(lambda connection: connection.execute(_FIND_ABANDONED, values).fetchall())
        return [AbandonedStart(*row) for row in rows]

    def count(self, lease: timedelta) -> int:
        """Implements `AbandonedStarts.count`."""
        rows = self._database.run_with_retry(lambda connection: connection.execute(_COUNT, {"lease": lease}).fetchall())
        return int(rows[0][0])

    def find_recorded(self, compose_ids: Collection[UUID]) -> frozenset[UUID]:
        """Implements `AbandonedStarts.find_recorded`."""
        values = {"composes": list(compose_ids)}
        rows = self._database.run_with_retry(lambda connection: connection.execute(_FIND_RECORDED, values).fetchall())
        return frozenset(row[0] for row in rows)

    def adopt(self, adoption: Adoption) -> bool:
        """Implements `AbandonedStarts.adopt`."""
        values = {"start": adoption.start, "compose": adoption.compose}

        def adopt(connection: psycopg.Connection[Any]) -> bool:
            return connection.execute(_ADOPT, values).fetchone() is not None

        return self._database.run_with_retry(adopt)
