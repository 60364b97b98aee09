"""Statuses of builds in the tables `compose_statuses` and `compose_results`, and the queue of looks at them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import orjson
import psycopg
from psycopg.types.json import Jsonb

from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.leadership import ACQUIRE_STATUS_WATCHER, acquire
from adapters.postgres.storable import remove_nul
from domain.composes import BuildTimes
from domain.looks import DATED_WITHIN, SCHEDULE, Look, LookOutcome, UnfinishedBuilds
from domain.status import as_document
from ports.statuses import HistoryPosition

_NOW: Final = "(statement_timestamp() AT TIME ZONE 'utc')"
# Times may lie a little ahead, because another program's clock may be fast; later ones are damaged (see starts.py).
_TIME_IS_PLAUSIBLE: Final = f"composes.created_at < {_NOW} + interval '1 day'"

# Parameters of the schedule: `age_0` with `pause_0`, and so on.
_SCHEDULE_VALUES: Final = {
    name: value
    for number, (age, pause) in enumerate(SCHEDULE)
    for name, value in ((f"age_{number}", age), (f"pause_{number}", pause))
}
_OLDEST: Final = {"oldest": SCHEDULE[-1][0]}


def _next_look(created_at: str, at: str) -> str:
    """An expression for the time of the next look at a build, NULL for a build that is too old."""
    cases = " ".join(
        f"WHEN {created_at} > {at} - %(age_{number})s::interval THEN {at} + %(pause_{number})s::interval"
        for number in range(len(SCHEDULE))
    )
    return f"(CASE {cases} END)"


# `at` is when the composer was asked. An answer that is older than the stored one is not stored.
_LOOK: Final = """
WITH look AS (
    SELECT job_id, org_id, created_at,
           clock_timestamp() AT TIME ZONE 'utc' - %(ago)s::interval AS at
    FROM composes WHERE job_id = %(compose)s
)"""
# A change between two looks that lie far apart has no time: it may have been long before the second one.
_IS_DATED: Final = "COALESCE(known.looked_at, known.created_at) >= EXCLUDED.looked_at - %(dated_within)s::interval"
_STARTED: Final = f"""
COALESCE(known.started_at, CASE WHEN %(has_started)s AND {_IS_DATED} THEN EXCLUDED.looked_at END)"""
_STARTED_BY_FIRST_LOOK: Final = """
CASE WHEN %(has_started)s AND created_at >= at - %(dated_within)s::interval THEN at END"""

_STORE_RUNNING: Final = f"""
{_LOOK}
INSERT INTO compose_statuses AS known (job_id, org_id, created_at, status, looked_at, started_at, next_look_at)
SELECT job_id, org_id, created_at, %(status)s, at, {_STARTED_BY_FIRST_LOOK}, {_next_look("created_at", "at")}
FROM look
WHERE NOT EXISTS (SELECT 1 FROM compose_results WHERE job_id = %(compose)s)
ON CONFLICT (job_id) DO UPDATE
SET status = EXCLUDED.status, looked_at = EXCLUDED.looked_at, started_at = {_STARTED},
    next_look_at = EXCLUDED.next_look_at, is_forgotten = false
WHERE NOT known.is_final AND (known.looked_at IS NULL OR known.looked_at < EXCLUDED.looked_at)
RETURNING started_at, finished_at, true
"""  # noqa: S608 - constants, as all below

# The first final status that is stored decides, also where two are stored at the same time: the second statement waits
# for the row in `compose_results` that the first one inserts. An older version of this service stores only that row.
_STORE_FINAL: Final = f"""
{_LOOK}, stored AS (
    INSERT INTO compose_results (job_id, status) SELECT job_id, %(status)s FROM look
    ON CONFLICT (job_id) DO NOTHING
    RETURNING job_id
)
INSERT INTO compose_statuses AS known (job_id, org_id, created_at, looked_at, started_at, finished_at, is_final)
SELECT look.job_id, org_id, created_at, at, {_STARTED_BY_FIRST_LOOK},
       CASE WHEN created_at >= at - %(dated_within)s::interval THEN at END, true
FROM look LEFT JOIN stored USING (job_id)
ON CONFLICT (job_id) DO UPDATE
SET status = NULL, looked_at = EXCLUDED.looked_at, started_at = {_STARTED},
    finished_at = CASE WHEN {_IS_DATED} THEN EXCLUDED.looked_at END,
    next_look_at = NULL, is_final = true, is_forgotten = false
WHERE NOT known.is_final
RETURNING started_at, finished_at, EXISTS (SELECT 1 FROM stored)
"""  # noqa: S608

_STORE_FORGOTTEN: Final = f"""
{_LOOK}
INSERT INTO compose_statuses AS known (job_id, org_id, created_at, looked_at, is_forgotten)
SELECT job_id, org_id, created_at, at, true FROM look
WHERE NOT EXISTS (SELECT 1 FROM compose_results WHERE job_id = %(compose)s)
ON CONFLICT (job_id) DO UPDATE
SET status = NULL, looked_at = EXCLUDED.looked_at, next_look_at = NULL, is_forgotten = true
WHERE NOT known.is_final AND (known.looked_at IS NULL OR known.looked_at < EXCLUDED.looked_at)
RETURNING started_at, finished_at, true
"""  # noqa: S608
_STORE: Final = {
    LookOutcome.RUNNING: _STORE_RUNNING,
    LookOutcome.FINAL: _STORE_FINAL,
    LookOutcome.FORGOTTEN: _STORE_FORGOTTEN,
}

# LIMIT 1 keeps the planner from reading all statuses in order to join them.
_FIND: Final = """
SELECT wanted.id, COALESCE(final.status, known.status)
FROM unnest(%(composes)s::uuid[]) AS wanted (id)
LEFT JOIN LATERAL (
    SELECT status ->> 'status' AS status FROM compose_results WHERE job_id = wanted.id LIMIT 1) final ON true
LEFT JOIN LATERAL (
    SELECT status ->> 'status' AS status FROM compose_statuses WHERE job_id = wanted.id LIMIT 1) known ON true
"""

# Builds of the page that are not watched yet. A build with a final status needs no look. LIMIT 1 keeps the planner from
# reading all statuses in order to join them.
_WATCH: Final = f"""
INSERT INTO compose_statuses (job_id, org_id, created_at, next_look_at)
SELECT page.job_id, org_id, created_at, {_NOW}
FROM page
LEFT JOIN LATERAL (SELECT true AS found FROM compose_statuses WHERE job_id = page.job_id LIMIT 1) known ON true
LEFT JOIN LATERAL (SELECT true AS found FROM compose_results WHERE job_id = page.job_id LIMIT 1) final ON true
WHERE deleted = false AND known.found IS NULL AND final.found IS NULL
ON CONFLICT (job_id) DO NOTHING
"""  # noqa: S608
_PAGE: Final = "SELECT job_id, org_id, created_at, deleted FROM composes"
_WATCH_NEW: Final = f"""
WITH page AS MATERIALIZED (
    {_PAGE} WHERE composes.created_at > {_NOW} - %(within)s::interval AND {_TIME_IS_PLAUSIBLE}
    ORDER BY composes.created_at, job_id
)
{_WATCH}
"""
_WATCH_OLDER: Final = f"""
WITH page AS MATERIALIZED (
    {_PAGE}
    WHERE composes.created_at > {_NOW} - %(oldest)s::interval AND {_TIME_IS_PLAUSIBLE}
      AND (composes.created_at, job_id) > (%(time)s::timestamp, %(id)s::uuid)
    ORDER BY composes.created_at, job_id
    LIMIT %(limit)s
), watched AS ({_WATCH})
SELECT created_at, job_id FROM page ORDER BY created_at DESC, job_id DESC LIMIT 1
"""  # noqa: S608
_BEGINNING: Final = {"time": "-infinity", "id": UUID(int=0)}

# The recursive query walks the index from tenant to tenant.
_FIND_DUE: Final = f"""
WITH RECURSIVE tenants (org_id) AS (
    (SELECT org_id FROM compose_statuses WHERE next_look_at IS NOT NULL ORDER BY org_id LIMIT 1)
    UNION ALL
    SELECT (SELECT org_id FROM compose_statuses
            WHERE next_look_at IS NOT NULL AND org_id > tenants.org_id
            ORDER BY org_id LIMIT 1)
    FROM tenants WHERE org_id IS NOT NULL
)
SELECT due.job_id
FROM tenants
CROSS JOIN LATERAL (
    SELECT job_id, next_look_at, row_number() OVER (ORDER BY next_look_at) AS turn
    FROM (SELECT job_id, next_look_at FROM compose_statuses
          WHERE org_id = tenants.org_id AND next_look_at <= {_NOW}
          ORDER BY next_look_at LIMIT %(limit)s) of_tenant
) due
ORDER BY due.turn, due.next_look_at
LIMIT %(limit)s
"""  # noqa: S608

_POSTPONE: Final = f"""
UPDATE compose_statuses SET next_look_at = {_next_look("created_at", _NOW)}
WHERE job_id = %(compose)s AND next_look_at IS NOT NULL
"""  # noqa: S608

_END_WATCH: Final = f"""
UPDATE compose_statuses SET next_look_at = NULL
WHERE job_id = ANY (ARRAY(
    SELECT job_id FROM compose_statuses
    WHERE next_look_at IS NOT NULL AND created_at <= {_NOW} - %(oldest)s::interval
    ORDER BY created_at LIMIT %(limit)s
))
"""  # noqa: S608

# Each build counts at the first age of the schedule that it has not reached.
_AGE_COUNTS: Final = ", ".join(
    f"count(*) FILTER (WHERE created_at > at - %(age_{number})s::interval"
    + (f" AND created_at <= at - %(age_{number - 1})s::interval)" if number else ")")
    for number in range(len(SCHEDULE))
)
_COUNT_UNFINISHED: Final = f"""
SELECT GREATEST(max(at - next_look_at), interval '0'), {_AGE_COUNTS}
FROM compose_statuses, (SELECT {_NOW} AS at) present
WHERE next_look_at IS NOT NULL
"""  # noqa: S608


class PostgresStatuses:
    """Implements ports.statuses.Statuses."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def store(self, look: Look) -> BuildTimes | None:
        """Implements `Statuses.store`."""
        is_final = look.outcome is LookOutcome.FINAL
        document = None if look.status is None else as_document(look.status.image, with_progress=not is_final)
        values = {
            "compose": look.compose_id,
            "ago": look.age,
            "status": Jsonb(remove_nul(document), dumps=orjson.dumps),
            "has_started": look.has_started,
            "dated_within": DATED_WITHIN,
            **_SCHEDULE_VALUES,
        }
        row = self._run(_STORE[look.outcome], values).fetchone()
        if row is None:
            return None
        *times, is_stored = row
        return BuildTimes(*times) if is_stored else None

    def find(self, compose_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """Implements `Statuses.find`."""
        rows = self._run(_FIND, {"composes": list(compose_ids)}).fetchall()
        return {compose_id: status for compose_id, status in rows if status is not None}

    def acquire_leadership(self, pod: UUID, term: timedelta) -> bool:
        """Implements `Statuses.acquire_leadership`."""
        return acquire(self._database, ACQUIRE_STATUS_WATCHER, pod, term)

    def watch_new(self, within: timedelta) -> None:
        """Implements `Statuses.watch_new`."""
        self._run(_WATCH_NEW, {"within": within})

    def watch_older(self, after: HistoryPosition | None, limit: int) -> HistoryPosition | None:
        """Implements `Statuses.watch_older`."""
        begin = _BEGINNING if after is None else {"time": after.created_at, "id": after.compose_id}
        row = self._run(_WATCH_OLDER, {**begin, **_OLDEST, "limit": limit}).fetchone()
        return None if row is None else HistoryPosition(*row)

    def find_due(self, limit: int) -> Sequence[UUID]:
        """Implements `Statuses.find_due`."""
        return [row[0] for row in self._run(_FIND_DUE, {"limit": limit}).fetchall()]

    def postpone(self, compose_id: UUID) -> None:
        """Implements `Statuses.postpone`."""
        self._run(_POSTPONE, {"compose": compose_id, **_SCHEDULE_VALUES})

    def end_watch(self, limit: int) -> None:
        """Implements `Statuses.end_watch`."""
        self._run(_END_WATCH, {**_OLDEST, "limit": limit})

    def count_unfinished(self) -> UnfinishedBuilds:
        """Implements `Statuses.count_unfinished`."""
        lag, *counts = self._run(_COUNT_UNFINISHED, _SCHEDULE_VALUES).fetchone() or (None,)
        return UnfinishedBuilds(tuple(counts), lag or timedelta(0))

    def _run(self, statement: str, values: Mapping[str, Any]) -> psycopg.Cursor[Any]:
        return self._database.run_with_retry(lambda connection: connection.execute(statement.encode(), values))
