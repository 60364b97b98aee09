"""Builds on their way to the composer, in `compose_starts`; they become rows of `composes`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import orjson
import psycopg
from psycopg.types.json import Jsonb

from adapters.postgres.connection import PostgresDatabase
from domain.composes import NewCompose
from domain.errors import UnavailableError
from domain.quota import Quota

# Any number will do that no other advisory lock of this database uses.
_QUOTA_LOCK: Final = 0x1B0001

_RECORD_STARTS: Final = """
INSERT INTO compose_starts (id, org_id, created_at)
SELECT unnest(%(starts)s::uuid[]), %(tenant)s::varchar, clock_timestamp() AT TIME ZONE 'utc'
"""

# One reservation of a tenant at a time; taken and given back within one trip to the server.
_LOCK_TENANT: Final = "SELECT pg_advisory_xact_lock(%(lock)s, hashtext(%(tenant)s))"

# Reads no more rows than the limit, however long the tenant's history is.
_RECORD_STARTS_WITHIN_QUOTA: Final = """
WITH since AS (SELECT (clock_timestamp() AT TIME ZONE 'utc') - %(window)s::interval AS start)
INSERT INTO compose_starts (id, org_id, created_at)
SELECT unnest(%(starts)s::uuid[]), %(tenant)s::varchar, clock_timestamp() AT TIME ZONE 'utc'
WHERE (SELECT count(*) FROM (
           SELECT 1 FROM composes
           WHERE org_id = %(tenant)s::varchar AND created_at > (SELECT start FROM since) LIMIT %(limit)s) built)
    + (SELECT count(*) FROM (
           SELECT 1 FROM compose_starts
           WHERE org_id = %(tenant)s::varchar AND created_at > (SELECT start FROM since) LIMIT %(limit)s) starting)
    + %(number)s
    <= %(limit)s
"""

_RELEASE: Final = "DELETE FROM compose_starts WHERE id = ANY (%(starts)s)"

# One statement: whoever counts sees the start or the compose, never both, never neither. A blueprint that is deleted
# meanwhile takes the compose along, one that is being deleted is waited for.
_RECORD_COMPOSE: Final = """
WITH started AS (
    DELETE FROM compose_starts WHERE id = %(start)s
), source AS (
    SELECT versions.id, blueprints.deleted
    FROM blueprint_versions versions JOIN blueprints ON blueprints.id = versions.blueprint_id
    WHERE versions.id = %(blueprint_version)s
    FOR SHARE OF blueprints
)
INSERT INTO composes (job_id, request, created_at, account_number, org_id, email, image_name, client_id,
                      blueprint_version_id, deleted)
VALUES (%(compose)s, %(request)s, clock_timestamp() AT TIME ZONE 'utc', %(account_number)s, %(tenant)s, %(email)s,
        %(image_name)s, %(client_id)s, (SELECT id FROM source), COALESCE((SELECT deleted FROM source), false))
ON CONFLICT (job_id) DO NOTHING
"""


class PostgresStarts:
    """Fulfils ports.store.Starts."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def reserve(self, starts: Sequence[UUID], tenant: str, quota: Quota | None) -> bool:
        """See the port. Exact, because reservations of one tenant queue for an advisory lock of the database."""
        values = {"starts": list(starts), "tenant": tenant}
        with self._database.connection() as connection:
            if quota is None:
                connection.execute(_RECORD_STARTS, values)
                return True
            with connection.pipeline(), connection.transaction():
                connection.execute(_LOCK_TENANT, {"lock": _QUOTA_LOCK, "tenant": tenant})
                inserted = connection.execute(
                    _RECORD_STARTS_WITHIN_QUOTA,
                    {**values, "number": len(starts), "window": quota.window, "limit": quota.limit},
                )
            return inserted.rowcount == len(starts)

    def release(self, starts: Sequence[UUID]) -> None:
        """See the port."""
        self._database.again(lambda connection: connection.execute(_RELEASE, {"starts": list(starts)}))

    def record(self, start: UUID, compose_id: UUID, compose: NewCompose) -> None:
        """See the port. Tried again whatever the reason: the composer already builds it."""
        values = {
            "start": start,
            "compose": compose_id,
            "request": Jsonb(compose.request, dumps=orjson.dumps),
            "account_number": compose.account_number,
            "tenant": compose.tenant,
            "email": compose.email,
            "image_name": compose.image_name,
            "client_id": compose.client_id,
            "blueprint_version": compose.blueprint_version,
        }
        self._database.again(
            lambda connection: connection.execute(_RECORD_COMPOSE, values),
            attempts=4,
            after=(UnavailableError, psycopg.Error),
            patient=True,
        )
