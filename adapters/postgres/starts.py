"""Starts, which are reservations of builds, in the table `compose_starts`; a recorded build is a row of `composes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
import psycopg
from psycopg.types.json import Jsonb

from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.server_monitor import MonitoredConnection
from adapters.postgres.tenant_slots import TenantSlots
from domain.composes import NewCompose
from domain.errors import BuildIdTakenError, ReservationUnknownError, UnavailableError
from domain.quota import Quota, Reservation, Usage
from domain.starts import NewStart

# The number of reservations of one tenant that may wait for its lock at the same time. Each holds a connection while it
# waits, and other tenants need connections, too.
_MAX_CONCURRENT_RESERVATIONS: Final = 5
# Seconds that a further reservation waits for one of these places: as long as a call waits for a connection.
_SLOT_TIMEOUT: Final = 0.7

_COLUMNS: Final = """
(id, fingerprint, compose, blueprint_version_id, position, key_id, org_id, created_at)"""
_START: Final = """
%(start)s::uuid, %(fingerprint)s::bytea, %(compose)s::jsonb, %(version)s::uuid, %(position)s::integer, %(key)s::uuid,
%(tenant)s::varchar"""

# For a tenant without a quota. `made` as in the migration 0040.
_RECORD_FIRST: Final = f"""
WITH key_prepared AS (
    UPDATE idempotency_keys SET made = array_fill(NULL::uuid, ARRAY[%(number)s::integer]) WHERE id = %(key)s::uuid
)
INSERT INTO compose_starts {_COLUMNS}
SELECT {_START}, clock_timestamp() AT TIME ZONE 'utc'
"""  # noqa: S608 - constants
_RECORD_ANOTHER: Final = f"""
INSERT INTO compose_starts {_COLUMNS}
SELECT {_START}, clock_timestamp() AT TIME ZONE 'utc'
"""

# Checks that the quota suffices for all starts of the request, and records the first (migration 0040).
_RESERVE: Final = """
SELECT at, used, earliest, granted FROM compose_starts_reserve(
    %(tenant)s::varchar, %(window)s::interval, %(limit)s::bigint, %(number)s::integer, %(start)s::uuid,
    %(fingerprint)s::bytea, %(compose)s::jsonb, %(version)s::uuid, %(position)s::integer, %(key)s::uuid)
"""
_USAGE: Final = """
SELECT at, used, earliest FROM compose_quota_usage(%(tenant)s::varchar, %(window)s::interval, %(limit)s::bigint)
"""

_RELEASE: Final = "DELETE FROM compose_starts WHERE id = ANY (%(starts)s)"

# One statement, so that a count of builds sees either the start or the compose, never both and never none. The compose
# of a deleted blueprint is recorded as deleted; the statement waits for a deletion that is in progress.
#
# The start is locked before the compose is inserted, and removed only if the compose was inserted. Therefore an earlier
# attempt whose answer was lost, or an adoption, has ended when this statement reads the start: if the start still
# exists, a compose with this id is another build. The build is recorded even if the start no longer exists, because it
# was released in error or adopted.
_RECORD_COMPOSE: Final = """
WITH start AS (
    SELECT key_id, position FROM compose_starts WHERE id = %(start)s FOR UPDATE
), source AS (
    SELECT versions.id, blueprints.deleted
    FROM blueprint_versions versions JOIN blueprints ON blueprints.id = versions.blueprint_id
    WHERE versions.id = %(blueprint_version)s
    FOR SHARE OF blueprints
), recorded AS (
    INSERT INTO composes (job_id, request, created_at, account_number, org_id, email, image_name, client_id,
                          blueprint_version_id, deleted)
    SELECT %(compose)s::uuid, %(request)s::jsonb, clock_timestamp() AT TIME ZONE 'utc', %(account_number)s::varchar,
           %(tenant)s::varchar, %(email)s::varchar, %(image_name)s::varchar, %(client_id)s::varchar,
           (SELECT id FROM source), COALESCE((SELECT deleted FROM source), false)
    FROM (SELECT count(*) FROM start) locked
    ON CONFLICT (job_id) DO NOTHING
    RETURNING job_id
), rerun AS (
    INSERT INTO compose_reruns (job_id, rerun_of)
    SELECT job_id, %(rerun_of)s::uuid FROM recorded WHERE %(rerun_of)s::uuid IS NOT NULL
), author AS (
    INSERT INTO compose_authors (job_id, created_by)
    SELECT job_id, %(created_by)s::varchar FROM recorded WHERE %(created_by)s::varchar <> ''
), labelled AS (
    INSERT INTO compose_labels (job_id, labels)
    SELECT job_id, %(labels)s::jsonb FROM recorded WHERE %(labels)s::jsonb IS NOT NULL
), key_updated AS (
    UPDATE idempotency_keys SET made[start.position] = recorded.job_id FROM start, recorded
    WHERE idempotency_keys.id = start.key_id
), ended AS (
    DELETE FROM compose_starts USING recorded WHERE compose_starts.id = %(start)s
)
SELECT EXISTS (SELECT 1 FROM recorded), EXISTS (SELECT 1 FROM start)
"""

# Whether an earlier attempt, or an adoption, created this compose from the start. This must be a separate statement,
# because it must see what was committed while the statement above waited for the lock.
_IS_OF_START: Final = """
SELECT org_id = %(tenant)s::varchar AND request = %(request)s::jsonb FROM composes WHERE job_id = %(compose)s
"""

_IS_RECORDED: Final = "SELECT EXISTS (SELECT 1 FROM composes WHERE job_id = %(compose)s)"


class PostgresStarts:
    """Implements ports.store.Starts."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._slots = TenantSlots(_MAX_CONCURRENT_RESERVATIONS, _SLOT_TIMEOUT)

    def reserve(
        self, starts: Sequence[NewStart], tenant: str, quota: Quota | None, key_id: UUID | None = None
    ) -> Reservation:
        """Implements `Starts.reserve`.

        The count is exact, because an advisory lock serializes the reservations of a tenant.

        Starts are inserted one by one, which bounds the memory: each may hold a large document.
        """
        common = {"tenant": tenant, "key": key_id, "number": len(starts)}
        first, *others = ({**common, **_values(start, position)} for position, start in enumerate(starts, 1))
        sent = False
        try:
            with self._slots.slot(tenant), self._database.connection() as connection:
                sent = True
                return _record_all(connection, first, others, quota)
        except UnavailableError as error:
            if not sent:
                raise
            raise ReservationUnknownError(error.detail) from error

    def get_usage(self, tenant: str, quota: Quota) -> Usage:
        """Implements `Starts.get_usage`."""
        values = {"tenant": tenant, **_quota_values(quota)}
        return Usage(*self._database.run_with_retry(lambda connection: _row(connection.execute(_USAGE, values))))

    def release(self, start_ids: Sequence[UUID]) -> None:
        """Implements `Starts.release`."""
        self._database.run_with_retry(lambda connection: connection.execute(_RELEASE, {"starts": list(start_ids)}))

    def record(self, start_id: UUID, compose_id: UUID, compose: NewCompose) -> None:
        """Implements `Starts.record`.

        After any error the call is repeated, even after the deadline of the request, because the composer is already
        building.
        """
        values = {
            "start": start_id,
            "compose": compose_id,
            "request": Jsonb(compose.request, dumps=orjson.dumps),
            "account_number": compose.account_number,
            "tenant": compose.tenant,
            "email": compose.email,
            "image_name": compose.image_name,
            "client_id": compose.client_id,
            "blueprint_version": compose.blueprint_version,
            "rerun_of": compose.rerun_of,
            "created_by": compose.created_by,
            "labels": Jsonb(compose.labels, dumps=orjson.dumps) if compose.labels else None,
        }
        is_of_start = self._database.run_with_retry(
            lambda connection: _record_compose(connection, values),
            attempts=4,
            retry_on=(UnavailableError, psycopg.Error),
            ignore_deadline=True,
        )
        if not is_of_start:
            raise BuildIdTakenError

    def is_recorded(self, compose_id: UUID) -> bool:
        """Implements `Starts.is_recorded`."""
        values = {"compose": compose_id}
        (is_recorded,) = self._database.run_with_retry(
            lambda connection: _row(connection.execute(_IS_RECORDED, values))
        )
        return bool(is_recorded)


def _record_compose(connection: MonitoredConnection, values: dict[str, Any]) -> bool:
    """Record the compose; return whether the compose with this id belongs to the start."""
    ((recorded, start_exists),) = connection.fetch(_RECORD_COMPOSE, values)
    if recorded or start_exists:
        return bool(recorded)
    return connection.execute(_IS_OF_START, values).fetchone() == (True,)


def _record_all(
    connection: MonitoredConnection,
    first: Mapping[str, Any],
    others: Sequence[Mapping[str, Any]],
    quota: Quota | None,
) -> Reservation:
    if not others:
        return _record_first(connection, first, quota)
    with connection.transaction():
        reservation = _record_first(connection, first, quota)
        if reservation.granted:
            for another in others:
                connection.execute(_RECORD_ANOTHER, another)
    return reservation


def _record_first(connection: MonitoredConnection, values: Mapping[str, Any], quota: Quota | None) -> Reservation:
    """Record the first start if the quota suffices for all starts of the request; return the new usage."""
    if quota is None:
        connection.fetch(_RECORD_FIRST, values)
        return Reservation(granted=True, usage=None)
    ((at, used, earliest, granted),) = connection.fetch(_RESERVE, {**values, **_quota_values(quota)})
    number = values["number"] if granted else 0
    # If no build counted before, the first build of this request is the first that leaves the window.
    return Reservation(granted=granted, usage=Usage(at, used + number, earliest or (at if granted else None)))


def _values(start: NewStart, position: int) -> dict[str, Any]:
    """Return the parameters of the statements that record a start.

    The document is serialized when the statement is sent, so that only one is in memory in this form.
    """
    return {
        "start": start.id,
        "fingerprint": start.fingerprint,
        "compose": _compose_document(start.compose),
        "version": start.compose.blueprint_version,
        "position": position,
    }


def _compose_document(compose: NewCompose) -> Jsonb:
    """Return the document for `compose_starts.compose`, from which an adoption creates the compose."""
    return Jsonb(
        {
            "request": compose.request,
            "account_number": compose.account_number,
            "email": compose.email,
            "image_name": compose.image_name,
            "client_id": compose.client_id,
            **({"created_by": compose.created_by} if compose.created_by else {}),
            **({} if compose.rerun_of is None else {"rerun_of": str(compose.rerun_of)}),
            **({"labels": compose.labels} if compose.labels else {}),
        },
        dumps=orjson.dumps,
    )


def _quota_values(quota: Quota) -> dict[str, Any]:
    return {"window": quota.window, "limit": quota.limit}


def _row(cursor: psycopg.Cursor[Any]) -> Any:
    """Return the only row of a statement that always returns one row."""
    row = cursor.fetchone()
    assert row is not None  # noqa: S101 - for the type checker
    return row
