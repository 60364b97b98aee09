"""Requests under an Idempotency-Key, in `idempotency_keys`."""

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
from domain.idempotency import KEPT_FOR, Failure, Keyed, KnownRequest

# An expired key is as good as none. Without a row the key is somebody's.
_CLAIM: Final = """
INSERT INTO idempotency_keys (id, org_id, path, key, body, created_at)
VALUES (%(id)s, %(tenant)s, %(path)s, %(key)s, %(body)s, clock_timestamp() AT TIME ZONE 'utc')
ON CONFLICT (org_id, path, key) DO UPDATE
SET id = EXCLUDED.id, body = EXCLUDED.body, created_at = EXCLUDED.created_at, settled = false, made = NULL,
    failure = NULL
WHERE idempotency_keys.created_at < EXCLUDED.created_at - %(kept_for)s::interval
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

# Nothing is decided as long as a start may yet turn out to be a build. Who made all has not failed, whatever they were
# told: the answer to the last record was lost.
_CLOSE: Final = """
WITH open AS (
    SELECT EXISTS (SELECT 1 FROM compose_starts WHERE key_id = %(id)s) AS starts
), kept AS (
    UPDATE idempotency_keys
    SET settled = true, failure = CASE WHEN array_position(made, NULL) IS NOT NULL THEN %(failure)s::jsonb END
    WHERE id = %(id)s AND NOT settled AND array_remove(made, NULL) <> '{}' AND NOT (SELECT starts FROM open)
)
DELETE FROM idempotency_keys
WHERE id = %(id)s AND NOT settled AND COALESCE(array_remove(made, NULL), '{}') = '{}' AND NOT (SELECT starts FROM open)
"""

_LEFT: Final = """
SELECT id, made FROM idempotency_keys
WHERE NOT settled AND created_at < statement_timestamp() AT TIME ZONE 'utc' - %(lease)s::interval
  AND NOT EXISTS (SELECT 1 FROM compose_starts WHERE key_id = idempotency_keys.id)
ORDER BY created_at LIMIT %(most)s
"""

# How often a key is tried for that comes and goes.
_ATTEMPTS: Final = 3


class PostgresIdempotencyKeys:
    """Fulfils ports.store.IdempotencyKeys."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def claim(self, request: Keyed, key_id: UUID) -> KnownRequest | None:
        """See the port."""
        values = {**asdict(request), "id": key_id, "kept_for": KEPT_FOR}

        def work(connection: psycopg.Connection[Any]) -> KnownRequest | None:
            for _ in range(_ATTEMPTS):
                if connection.execute(_CLAIM, values).fetchone() is not None:
                    return None
                row = connection.execute(_FIND, values).fetchone()
                if row is not None:
                    # The answer to an attempt before may have been lost on the way.
                    return None if row[0] == key_id else _known(*row[1:])
            raise UnavailableError("Others use the same Idempotency-Key", retry_after=1)

        return self._database.again(work)

    def settle(self, key_id: UUID) -> None:
        """See the port."""
        self._database.again(lambda connection: connection.execute(_SETTLE, {"id": key_id}))

    def close(self, key_id: UUID, failure: Failure) -> None:
        """See the port."""
        values = {"id": key_id, "failure": Jsonb(storable(asdict(failure)))}
        self._database.again(lambda connection: connection.execute(_CLOSE, values))

    def left(self, lease: timedelta, most: int) -> Sequence[tuple[UUID, tuple[UUID | None, ...]]]:
        """See the port."""
        values = {"lease": lease, "most": most}
        rows = self._database.again(lambda connection: connection.execute(_LEFT, values).fetchall())
        return [(key_id, tuple(made or ())) for key_id, made in rows]


def _known(body: bytes, settled: bool, made: list[UUID | None] | None, failure: Any) -> KnownRequest:
    return KnownRequest(body, settled, tuple(made or ()), None if failure is None else Failure(**failure))
