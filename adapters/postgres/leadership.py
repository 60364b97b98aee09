"""Leadership: the one pod that does a periodic task, in a table with one row (`reconciler`, `status_watcher`)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from adapters.postgres.connection import PostgresDatabase

_ACQUIRE: Final = """
INSERT INTO {table} (pod, until)
VALUES (%(pod)s, clock_timestamp() AT TIME ZONE 'utc' + %(term)s::interval)
ON CONFLICT (only_row) DO UPDATE SET pod = EXCLUDED.pod, until = EXCLUDED.until
WHERE {table}.pod = EXCLUDED.pod OR {table}.until < clock_timestamp() AT TIME ZONE 'utc'
RETURNING pod
"""
ACQUIRE_RECONCILER: Final = _ACQUIRE.format(table="reconciler")
ACQUIRE_STATUS_WATCHER: Final = _ACQUIRE.format(table="status_watcher")


def acquire(database: PostgresDatabase, statement: str, pod: UUID, term: timedelta) -> bool:
    """Try to become or stay the leader for the next `term`, by one of the statements above. Raises UnavailableError."""
    values = {"pod": pod, "term": term}
    row = database.run_with_retry(lambda connection: connection.execute(statement.encode(), values).fetchone())
    return row is not None
