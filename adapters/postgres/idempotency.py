"""Requests with an Idempotency-Key, in the table `idempotency_keys`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.storable import storable
from domain.errors import UnavailableError
from domain.idempotency import KEY_LIFETIME, EarlierRequest, KeyClaim, RequestFailure

# An expired key may be claimed again. No row is returned where another request holds the key.
_CLAIM: Final = """
INSERT INTO idempotency_keys (id, org_id, path, key, body, created_at)
VALUES (%(id)s, %(tenant)s, %(path)s, %(key)s, %(body)s, clock_timestamp() AT TIME ZONE 'utc')
ON CONFLICT (org_id, path, key) DO UPDATE
SET id = EXCLUDED.id, body = EXCLUDED.body, created_at = EXCLUDED.created_at, settled = false, made = NULL,
    failure = NULL
WHERE idempotency_keys.created_at < EXCLUDED.created_at - %(lifetime)s::interval
RETURNING id
"""

_FIND: Final = """
SELECT id, body, settled, made, failure FROM idempotency_keys
WHERE org_id = %(tenant)s AND path = %(path)s AND key = %(key)s
"""

_SETTLE: Final = """
UPDATE idempotency_keys SET settled = true, made = COALESCE(made, '{}')
WHERE id = %(id)s AND NOT settled AND array_position(made, NULL) IS NULL
"""

# Nothing is changed while a start of the request may still become a build. A request whose builds all exist has not
# failed, even if its caller got an error: only the answer to the last recording was lost.
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

# Attempts to claim a key that other requests claim and release meanwhile.
_CLAIM_ATTEMPTS: Final = 3


class PostgresIdempotencyKeys:
    """Implements ports.store.IdempotencyKeys."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def claim(self, request: KeyClaim, key_id: UUID) -> EarlierRequest | None:
        """Implements `IdempotencyKeys.claim`."""
        values = {**asdict(request), "id": key_id, "lifetime": KEY_LIFETIME}

        def work(connection: psycopg.Connection[Any]) -> EarlierRequest | None:
            for _ in range(_CLAIM_ATTEMPTS):
                if connection.execute(_CLAIM, values).fetchone() is not None:
                    return None
                row = connection.execute(_FIND, values).fetchone()
                if row is not None:
                    # It is our own claim if the answer to an earlier attempt was lost.
                    return None if row[0] == key_id else _earlier_request(*row[1:])
            raise UnavailableError("Other requests use the same Idempotency-Key at the same time", retry_after=1)

        return self._database.run_with_retry(work)

    def settle(self, key_id: UUID) -> None:
        """Implements `IdempotencyKeys.settle`."""
        self._database.run_with_retry(lambda connection: connection.execute(_SETTLE, {"id": key_id}))

    def settle_failed(self, key_id: UUID, failure: RequestFailure) -> None:
        """Implements `IdempotencyKeys.settle_failed`."""
        values = {"id": key_id, "failure": Jsonb(storable(asdict(failure)))}
        self._database.run_with_retry(lambda connection: connection.execute(_SETTLE_FAILED, values))

    def find_unsettled(self, lease: timedelta, limit: int) -> Sequence[tuple[UUID, tuple[UUID | None, ...]]]:
        """Implements `IdempotencyKeys.find_unsettled`."""
        values = {"lease": lease, "limit": limit}
        rows = self._database.run_with_retry(lambda connection: connection.execute(_FIND_UNSETTLED, values).fetchall())
        return [(key_id, tuple(made or ())) for key_id, made in rows]


def _earlier_request(body: bytes, settled: bool, made: list[UUID | None] | None, failure: Any) -> EarlierRequest:
    return EarlierRequest(body, settled, tuple(made or ()), None if failure is None else RequestFailure(**failure))
