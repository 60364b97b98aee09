"""Requests with an Idempotency-Key, in the table `idempotency_keys`.

`body` is the fingerprint of the request's body; `made` holds the ids of what the request created, in order: NULL until
the request has reserved its builds, and with a NULL for each build that is not recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.storable import remove_nul
from domain.errors import UnavailableError
from domain.idempotency import KEY_LIFETIME, EarlierRequest, KeyClaim, RequestFailure, UnsettledKey

# An expired key may be claimed again. No row is returned if another request holds the key.
_CLAIM_KEY: Final = """
INSERT INTO idempotency_keys (id, org_id, path, key, body, created_at)
VALUES (%(id)s, %(tenant)s, %(path)s, %(key)s, %(body)s, clock_timestamp() AT TIME ZONE 'utc')
ON CONFLICT (org_id, path, key) DO UPDATE
SET id = EXCLUDED.id, body = EXCLUDED.body, created_at = EXCLUDED.created_at, settled = false, made = NULL,
    failure = NULL
WHERE idempotency_keys.created_at < EXCLUDED.created_at - %(lifetime)s::interval
RETURNING id
"""

_FIND_CLAIM: Final = """
SELECT id, body, settled, made, failure FROM idempotency_keys
WHERE org_id = %(tenant)s AND path = %(path)s AND key = %(key)s
"""

# A NULL in `made` is a build that is not recorded: the request then stays unsettled.
_SETTLE: Final = """
UPDATE idempotency_keys SET settled = true, made = COALESCE(made, '{}')
WHERE id = %(id)s AND NOT settled AND array_position(made, NULL) IS NULL
"""

# Nothing is changed while a start of the request may still become a build. If every build exists, the request has
# succeeded: its error only means that the database's answer to the last `record` was lost. Therefore no failure is
# stored. UPDATE and DELETE see the same snapshot, and their conditions on `made` exclude each other: each row is either
# updated or deleted.
_SETTLE_FAILED: Final = """
WITH open AS (
    SELECT EXISTS (SELECT 1 FROM compose_starts WHERE key_id = %(id)s) AS starts
), failed AS (
    UPDATE idempotency_keys
    SET settled = true, failure = CASE WHEN array_position(made, NULL) IS NOT NULL THEN %(failure)s::jsonb END
    WHERE id = %(id)s AND NOT settled AND array_remove(made, NULL) <> '{}' AND NOT (SELECT starts FROM open)
)
DELETE FROM idempotency_keys
WHERE id = %(id)s AND NOT settled AND COALESCE(array_remove(made, NULL), '{}') = '{}' AND NOT (SELECT starts FROM open)
"""

_FIND_UNSETTLED: Final = """
SELECT id, made FROM idempotency_keys
WHERE NOT settled AND created_at < statement_timestamp() AT TIME ZONE 'utc' - %(lease)s::interval
  AND NOT EXISTS (SELECT 1 FROM compose_starts WHERE key_id = idempotency_keys.id)
ORDER BY created_at LIMIT %(limit)s
"""

# The row may be deleted between INSERT and SELECT; then the claim is tried again, at most this often.
_CLAIM_ATTEMPTS: Final = 3


class PostgresIdempotencyKeys:
    """Implements ports.store.IdempotencyKeys."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def claim(self, request: KeyClaim, key_id: UUID) -> EarlierRequest | None:
        """Implements `IdempotencyKeys.claim`."""
        values = {**asdict(request), "id": key_id, "lifetime": KEY_LIFETIME}

        def claim_or_find(connection: psycopg.Connection[Any]) -> EarlierRequest | None:
            for _ in range(_CLAIM_ATTEMPTS):
                if connection.execute(_CLAIM_KEY, values).fetchone() is not None:
                    return None
                row = connection.execute(_FIND_CLAIM, values).fetchone()
                if row is not None:
                    holder_id, *columns = row
                    # A row with our own id means that an earlier attempt succeeded but its answer was lost.
                    return None if holder_id == key_id else _to_earlier_request(*columns)
            raise UnavailableError("Other requests use the same Idempotency-Key at the same time", retry_after=1)

        return self._database.run_with_retry(claim_or_find)

    def settle(self, key_id: UUID) -> None:
        """Implements `IdempotencyKeys.settle`."""
        self._database.run_with_retry(lambda connection: connection.execute(_SETTLE, {"id": key_id}))

    def settle_failed(self, key_id: UUID, failure: RequestFailure) -> None:
        """Implements `IdempotencyKeys.settle_failed`."""
        values = {"id": key_id, "failure": Jsonb(remove_nul(asdict(failure)))}
        self._database.run_with_retry(lambda connection: connection.execute(_SETTLE_FAILED, values))

    def find_unsettled(self, lease: timedelta, limit: int) -> Sequence[UnsettledKey]:
        """Implements `IdempotencyKeys.find_unsettled`."""
        values = {"lease": lease, "limit": limit}
        rows = self._database.run_with_retry(lambda connection: connection.execute(_FIND_UNSETTLED, values).fetchall())
        return [UnsettledKey(key_id, tuple(made or ())) for key_id, made in rows]


def _to_earlier_request(body: bytes, settled: bool, made: list[UUID | None] | None, failure: Any) -> EarlierRequest:
    return EarlierRequest(body, settled, tuple(made or ()), None if failure is None else RequestFailure(**failure))
