"""Builds on their way to the composer, in `compose_starts`; they become rows of `composes`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import orjson
import psycopg
from psycopg.types.json import Jsonb

from adapters.postgres.connection import PostgresDatabase
from domain.composes import NewCompose
from domain.errors import UnavailableError
from domain.quota import Quota, Reservation, Usage
from domain.starts import NewStart

# Any number will do that no other advisory lock of this database uses.
_QUOTA_LOCK: Final = 0x1B0001

# `made` gets a place for each build of the request.
_EXPECT: Final = """
expected AS (
    UPDATE idempotency_keys SET made = array_fill(NULL::uuid, ARRAY[%(number)s::integer]) WHERE id = %(key)s::uuid
)"""
_COLUMNS: Final = """
(id, fingerprint, compose, blueprint_version_id, position, key_id, org_id, created_at)"""
_STARTS: Final = """
unnest(%(starts)s::uuid[]), unnest(%(fingerprints)s::bytea[]), unnest(%(composes)s::jsonb[]),
unnest(%(versions)s::uuid[]), generate_series(1, %(number)s::integer), %(key)s::uuid, %(tenant)s::varchar"""

_RECORD_STARTS: Final = f"""
WITH {_EXPECT}
INSERT INTO compose_starts {_COLUMNS}
SELECT {_STARTS}, clock_timestamp() AT TIME ZONE 'utc'
"""

# One reservation of a tenant at a time; taken and given back within one trip to the server.
_LOCK_TENANT: Final = "SELECT pg_advisory_xact_lock(%(lock)s, hashtext(%(tenant)s))"

# The newest builds inside the window. Reads no more rows of a table than the limit, however long the history is.
# The clock of another program may be ahead. A time more than a day ahead is damaged and does not count: such a build
# would never leave the window.
_COUNTED: Final = """
WITH present AS (
    SELECT clock_timestamp() AT TIME ZONE 'utc' AS at
), counted AS (
    (SELECT created_at FROM composes
     WHERE org_id = %(tenant)s::varchar AND created_at > (SELECT at - %(window)s::interval FROM present)
       AND created_at < (SELECT at + interval '1 day' FROM present)
     ORDER BY created_at DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT created_at FROM compose_starts
     WHERE org_id = %(tenant)s::varchar AND created_at > (SELECT at - %(window)s::interval FROM present)
       AND created_at < (SELECT at + interval '1 day' FROM present)
     ORDER BY created_at DESC LIMIT %(limit)s)
    ORDER BY created_at DESC LIMIT %(limit)s
), usage AS (
    SELECT count(*) AS used, min(created_at) AS earliest FROM counted
)"""

_USAGE: Final = f"{_COUNTED} SELECT at, used, earliest FROM present, usage"  # noqa: S608

_RECORD_STARTS_WITHIN_QUOTA: Final = f"""
{_COUNTED}, {_EXPECT}, recorded AS (
    INSERT INTO compose_starts {_COLUMNS}
    SELECT {_STARTS}, at
    FROM present, usage
    WHERE used + %(number)s <= %(limit)s
    RETURNING id
)
SELECT at, used, earliest, (SELECT count(*) FROM recorded) FROM present, usage
"""  # noqa: S608

_RELEASE: Final = "DELETE FROM compose_starts WHERE id = ANY (%(starts)s)"

# One statement: whoever counts sees the start or the compose, never both, never neither. A blueprint that is deleted
# meanwhile takes the compose along, one that is being deleted is waited for.
_RECORD_COMPOSE: Final = """
WITH started AS (
    DELETE FROM compose_starts WHERE id = %(start)s RETURNING key_id, position
), told AS (
    UPDATE idempotency_keys SET made[started.position] = %(compose)s::uuid FROM started WHERE id = started.key_id
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

    def reserve(
        self, starts: Sequence[NewStart], tenant: str, quota: Quota | None, key: UUID | None = None
    ) -> Reservation:
        """See the port. Exact, because reservations of one tenant queue for an advisory lock of the database."""
        values = {
            "tenant": tenant,
            "key": key,
            "number": len(starts),
            "starts": [start.id for start in starts],
            "fingerprints": [start.fingerprint for start in starts],
            "composes": [_as_kept(start.compose) for start in starts],
            "versions": [start.compose.blueprint_version for start in starts],
        }
        with self._database.connection() as connection:
            if quota is None:
                connection.execute(_RECORD_STARTS, values)
                return Reservation(granted=True, usage=None)
            with connection.pipeline(), connection.transaction():
                connection.execute(_LOCK_TENANT, {"lock": _QUOTA_LOCK, "tenant": tenant})
                counted = connection.execute(_RECORD_STARTS_WITHIN_QUOTA, {**values, **_of(quota)})
            at, used, earliest, recorded = _row(counted)
        # The first build of all is the first that leaves the window.
        return Reservation(
            granted=recorded == len(starts),
            usage=Usage(at, used + recorded, earliest or (at if recorded else None)),
        )

    def usage(self, tenant: str, quota: Quota) -> Usage:
        """See the port."""
        values = {"tenant": tenant, **_of(quota)}
        return Usage(*self._database.again(lambda connection: _row(connection.execute(_USAGE, values))))

    def release(self, starts: Sequence[UUID]) -> None:
        """See the port."""
        self._database.again(lambda connection: connection.execute(_RELEASE, {"starts": list(starts)}))

    def record(self, start: UUID, compose_id: UUID, compose: NewCompose) -> None:
        """See the port. Tried again whatever the reason, and however late: the composer already builds it."""
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


def _as_kept(compose: NewCompose) -> Jsonb:
    """What adopting a start makes a compose of."""
    return Jsonb(
        {
            "request": compose.request,
            "account_number": compose.account_number,
            "email": compose.email,
            "image_name": compose.image_name,
            "client_id": compose.client_id,
        },
        dumps=orjson.dumps,
    )


def _of(quota: Quota) -> dict[str, Any]:
    return {"window": quota.window, "limit": quota.limit}


def _row(cursor: psycopg.Cursor[Any]) -> Any:
    """The one row of an aggregate."""
    row = cursor.fetchone()
    assert row is not None  # noqa: S101 - for the type checker
    return row
