"""Intents to cancel builds in the table `compose_cancellations`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import psycopg

from adapters.postgres.connection import PostgresDatabase
from domain.cancellations import Cancellation

# A repetition after a lost answer returns the row of the first attempt.
_RECORD: Final = """
INSERT INTO compose_cancellations (id, job_id, cancelled_by, created_at, attempted_at)
SELECT %(id)s, job_id, %(cancelled_by)s, present.at, present.at
FROM composes, (SELECT clock_timestamp() AT TIME ZONE 'utc' AS at) present
WHERE job_id = %(compose)s AND NOT EXISTS (SELECT 1 FROM compose_results WHERE job_id = %(compose)s)
ON CONFLICT (id) DO UPDATE SET id = EXCLUDED.id
RETURNING id, job_id, cancelled_by, created_at
"""

_WITHDRAW: Final = "DELETE FROM compose_cancellations WHERE id = %(id)s"

_FIND: Final = """
SELECT id, job_id, cancelled_by, created_at FROM compose_cancellations
WHERE job_id = %(compose)s ORDER BY created_at LIMIT 1
"""

_FIND_ABANDONED: Final = """
SELECT id, job_id, cancelled_by, created_at FROM compose_cancellations
WHERE attempted_at < statement_timestamp() AT TIME ZONE 'utc' - %(lease)s::interval
ORDER BY attempted_at LIMIT %(limit)s
"""

_POSTPONE: Final = """
UPDATE compose_cancellations SET attempted_at = clock_timestamp() AT TIME ZONE 'utc' WHERE id = %(id)s
"""

_REMOVE_ALL: Final = "DELETE FROM compose_cancellations WHERE job_id = %(compose)s"


class PostgresCancellations:
    """Implements ports.cancellations.Cancellations."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def record(self, intent_id: UUID, compose_id: UUID, cancelled_by: str) -> Cancellation | None:
        """Implements `Cancellations.record`."""
        row = self._run(_RECORD, {"id": intent_id, "compose": compose_id, "cancelled_by": cancelled_by}).fetchone()
        return None if row is None else Cancellation(*row)

    def withdraw(self, intent_id: UUID) -> None:
        """Implements `Cancellations.withdraw`."""
        self._run(_WITHDRAW, {"id": intent_id})

    def find(self, compose_id: UUID) -> Cancellation | None:
        """Implements `Cancellations.find`."""
        row = self._run(_FIND, {"compose": compose_id}).fetchone()
        return None if row is None else Cancellation(*row)

    def find_abandoned(self, lease: timedelta, limit: int) -> Sequence[Cancellation]:
        """Implements `Cancellations.find_abandoned`."""
        return [Cancellation(*row) for row in self._run(_FIND_ABANDONED, {"lease": lease, "limit": limit}).fetchall()]

    def postpone(self, intent_id: UUID) -> None:
        """Implements `Cancellations.postpone`."""
        self._run(_POSTPONE, {"id": intent_id})

    def remove_all(self, compose_id: UUID) -> None:
        """Implements `Cancellations.remove_all`."""
        self._run(_REMOVE_ALL, {"compose": compose_id})

    def _run(self, statement: str, values: Mapping[str, Any]) -> psycopg.Cursor[Any]:
        return self._database.run_with_retry(lambda connection: connection.execute(statement.encode(), values))
