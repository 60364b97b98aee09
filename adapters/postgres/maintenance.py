"""Maintenance of the tables: statements that find a bounded number of rows by an index and skip locked rows.

Each statement continues after the last row of the previous one, so that no row is read twice, not even a removed one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import psycopg
import structlog
from psycopg import errors
from psycopg.pq import TransactionStatus

from adapters.postgres.connection import first_line, session_parameters
from domain.errors import ConfigurationError, UnavailableError
from domain.idempotency import KEY_LIFETIME
from ports.maintenance import MaintenanceRunningError

# The number of rows that one statement locks, for some tens of milliseconds.
BATCH: Final = 1000

# The advisory lock of the maintenance: an arbitrary number that no other advisory lock of this database uses.
_LOCK: Final = 0x1B0004
# The index with which old composes are found.
_INDEX: Final = "composes_created_at_job_id_idx"
# Seconds between two checks whether VACUUM must be cancelled.
_CANCEL_POLL: Final = 0.1

# - synchronous_commit: a commit need not wait for the disk, because the next run repeats a batch that a crash of the
#   server undoes.
# - backend_flush_after: writes reach the disk in small portions, so that they do not delay commits of the service.
# - vacuum_cost_delay: VACUUM is as slow as autovacuum.
# - the others: even with old statistics no whole table is scanned.
_OPTIONS: Final = (
    "-c synchronous_commit=off -c backend_flush_after=256kB -c vacuum_cost_delay=2 "
    "-c enable_seqscan=off -c enable_bitmapscan=off -c jit=off"
)

_CUTOFF: Final = """
SELECT ((clock_timestamp() AT TIME ZONE 'utc') - make_interval(months => %(months)s))::text,
       ((clock_timestamp() AT TIME ZONE 'utc') - %(lifetime)s::interval)::text
"""

_INDEX_EXISTS: Final = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND indisvalid"

# Joins the last row of a batch, after which the next batch continues. Times are text, because PostgreSQL stores some
# for which Python has no value. Each statement below returns: rows read, rows affected, time and id of the last row.
_OUTCOME: Final = """
LEFT JOIN (SELECT created_at::text, id FROM page ORDER BY page.created_at DESC, id DESC LIMIT 1) last ON true
"""

_EXPIRED: Final = """
SELECT created_at, {id} AS id FROM {table}
WHERE created_at < %(cutoff)s::timestamp AND (created_at, {id}) > (%(time)s::timestamp, %(id)s::uuid)
ORDER BY created_at, {id}
LIMIT %(size)s
"""

_COUNT_EXPIRED: Final = f"""
WITH page AS MATERIALIZED ({_EXPIRED})
SELECT counted.rows, counted.rows, last.created_at, last.id
FROM (SELECT count(*) AS rows FROM page) counted {_OUTCOME}
"""  # noqa: S608 - constants, as all below

_REMOVE_EXPIRED: Final = f"""
WITH page AS MATERIALIZED ({_EXPIRED} FOR UPDATE SKIP LOCKED),
removed AS (
    DELETE FROM {{table}} USING page WHERE {{table}}.{{id}} = page.id RETURNING 1
)
SELECT counted.rows, (SELECT count(*) FROM removed), last.created_at, last.id
FROM (SELECT count(*) AS rows FROM page) counted {_OUTCOME}
"""  # noqa: S608

COUNT_EXPIRED: Final = _COUNT_EXPIRED.format(table="composes", id="job_id")
REMOVE_EXPIRED: Final = _REMOVE_EXPIRED.format(table="composes", id="job_id")
COUNT_STARTS: Final = _COUNT_EXPIRED.format(table="compose_starts", id="id")
REMOVE_STARTS: Final = _REMOVE_EXPIRED.format(table="compose_starts", id="id")
COUNT_KEYS: Final = _COUNT_EXPIRED.format(table="idempotency_keys", id="id")
REMOVE_KEYS: Final = _REMOVE_EXPIRED.format(table="idempotency_keys", id="id")

# `strict`, because a lax path also matches shapes that the statement below does not change.
_PAGE_OF_REQUESTS: Final = """
SELECT created_at, job_id AS id,
       request @? 'strict $.customizations.users[*] ? (@.type() == "object" && exists(@.password))' AS has_password
FROM composes
WHERE (created_at, job_id) > (%(time)s::timestamp, %(id)s::uuid)
ORDER BY created_at, job_id
LIMIT %(size)s
"""

COUNT_PASSWORDS: Final = f"""
WITH page AS MATERIALIZED ({_PAGE_OF_REQUESTS})
SELECT counted.rows, counted.with_password, last.created_at, last.id
FROM (SELECT count(*) AS rows, count(*) FILTER (WHERE has_password) AS with_password FROM page) counted {_OUTCOME}
"""  # noqa: S608

# The rule of domain.compose.passwords.present_request in SQL: Python would change a request by reading and writing it,
# because PostgreSQL stores numbers that Python cannot represent.
REDACT_PASSWORDS: Final = f"""
WITH page AS MATERIALIZED ({_PAGE_OF_REQUESTS}),
to_change AS (
    SELECT job_id FROM composes WHERE job_id IN (SELECT id FROM page WHERE has_password)
    FOR UPDATE SKIP LOCKED
),
changed AS (
    UPDATE composes SET request = jsonb_set(request, '{{customizations,users}}', (
        SELECT jsonb_agg(
            CASE
                WHEN jsonb_typeof(each) <> 'object' THEN each
                ELSE each - 'password' || jsonb_build_object('hasPassword', CASE
                    WHEN COALESCE(each -> 'password', 'null') = 'null'
                        THEN COALESCE(each -> 'hasPassword', 'false') = 'true'
                    ELSE each -> 'password' NOT IN ('""', 'false', '0', '[]', '{{}}')
                END)
            END
            ORDER BY number)
        FROM jsonb_array_elements(request #> '{{customizations,users}}') WITH ORDINALITY users (each, number)
    ))
    FROM to_change WHERE composes.job_id = to_change.job_id
    RETURNING 1
)
SELECT counted.rows, (SELECT count(*) FROM changed), last.created_at, last.id
FROM (SELECT count(*) AS rows FROM page) counted {_OUTCOME}
"""  # noqa: S608

# The list entries and counts of the organization that follows: its id, and the number of wrong ones.
CHECK_COUNTS: Final = (
    "SELECT tenant, differences FROM compose_counts_check(%(after)s::varchar, repair => %(repair)s::boolean)"
)

# Without TRUNCATE, which would lock the table against all readers and writers.
_VACUUM: Final = "VACUUM (ANALYZE, TRUNCATE false) composes"

log = structlog.get_logger()


@contextmanager
def open_maintenance(parameters: Mapping[str, Any], retention_months: int) -> Iterator[PostgresMaintenance]:
    """Start a maintenance run of this database, which removes composes after `retention_months`.

    Only one run of a database can take place at a time. Raises MaintenanceRunningError if another run has not ended,
    UnavailableError if the database is unavailable, and ConfigurationError for a database that lacks a migration or a
    privilege.
    """
    session_settings = session_parameters(parameters)
    try:
        with psycopg.connect(
            **{**session_settings, "options": f"{session_settings['options']} {_OPTIONS}"},
            autocommit=True,
            prepare_threshold=None,
        ) as session:
            session.add_notice_handler(lambda notice: log.warning("database notice", text=notice.message_primary))
            run = _start_run(session, retention_months)
            try:
                yield run
            finally:
                # PostgreSQL may notice only later that the connection is closed, and would refuse the next run.
                if session.info.transaction_status == TransactionStatus.IDLE:
                    session.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))
    except psycopg.OperationalError as error:
        raise UnavailableError(f"The database is not available: {first_line(error)}") from error
    except psycopg.Error as error:
        raise ConfigurationError(f"The database cannot be maintained: {first_line(error)}") from error


def _start_run(session: psycopg.Connection[Any], retention_months: int) -> PostgresMaintenance:
    if session.execute(_INDEX_EXISTS, (_INDEX,)).fetchone() is None:
        raise ConfigurationError("The database lacks an index of this version: run `image-builder migrate` first")
    (acquired,) = session.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone() or (False,)
    if not acquired:
        raise MaintenanceRunningError("Another maintenance run of this database has not ended")
    values = {"months": retention_months, "lifetime": KEY_LIFETIME}
    cutoff, cutoff_of_keys = session.execute(_CUTOFF, values).fetchone() or ("-infinity", "-infinity")
    return PostgresMaintenance(session, cutoff, cutoff_of_keys)


class PostgresMaintenance:
    """Implements ports.maintenance.DatabaseMaintenance."""

    def __init__(self, session: psycopg.Connection[Any], cutoff: str, cutoff_of_keys: str) -> None:
        self._session = session
        self._cutoff = cutoff
        self._cutoff_of_keys = cutoff_of_keys

    @property
    def cutoff(self) -> str:
        """Implements `DatabaseMaintenance.cutoff`."""
        return self._cutoff

    def expire_composes(self, *, dry_run: bool) -> Iterator[int]:
        """Implements `DatabaseMaintenance.expire_composes`."""
        return self._batches(COUNT_EXPIRED if dry_run else REMOVE_EXPIRED, self._cutoff)

    def expire_starts(self, *, dry_run: bool) -> Iterator[int]:
        """Implements `DatabaseMaintenance.expire_starts`."""
        return self._batches(COUNT_STARTS if dry_run else REMOVE_STARTS, self._cutoff)

    def expire_keys(self, *, dry_run: bool) -> Iterator[int]:
        """Implements `DatabaseMaintenance.expire_keys`."""
        return self._batches(COUNT_KEYS if dry_run else REMOVE_KEYS, self._cutoff_of_keys)

    def redact_passwords(self, *, dry_run: bool) -> Iterator[int]:
        """Implements `DatabaseMaintenance.redact_passwords`.

        Composes before the cutoff are skipped, because `expire_composes` removes them.
        """
        return self._batches(COUNT_PASSWORDS if dry_run else REDACT_PASSWORDS, None, since=self._cutoff)

    def correct_counts(self, *, dry_run: bool) -> Iterator[int]:
        """Implements `DatabaseMaintenance.correct_counts`."""
        # All builds of an organization are read by one statement.
        self._session.execute("SELECT set_config('statement_timeout', '0', false)")
        organization: str | None = ""
        while organization is not None:
            values = {"after": organization, "repair": not dry_run}
            row = self._session.execute(CHECK_COUNTS.encode(), values).fetchone()
            organization, differences = row or (None, 0)
            if differences:
                log.warning(
                    "counts of builds are wrong", org_id=organization, number=differences, corrected=not dry_run
                )
            yield differences

    def vacuum(self, is_over: Callable[[], bool]) -> bool:
        """Implements `DatabaseMaintenance.vacuum`."""
        self._session.execute("SET statement_timeout = 0")
        warnings: list[str | None] = []
        # PostgreSQL reports a missing privilege by a warning, not by an error.
        self._session.add_notice_handler(lambda notice: warnings.append(notice.message_primary))
        with ThreadPoolExecutor(1) as thread:
            vacuum = thread.submit(self._session.execute, _VACUUM)
            while wait((vacuum,), timeout=_CANCEL_POLL).not_done:
                if is_over():
                    self._session.cancel_safe()
        try:
            vacuum.result()
        except errors.QueryCanceled:
            return False
        return not warnings

    def _batches(self, statement: str, cutoff: str | None, since: str = "-infinity") -> Iterator[int]:
        values = {"cutoff": cutoff, "time": since, "id": UUID(int=0), "size": BATCH}
        rows_read = BATCH
        while rows_read == BATCH:
            row = self._session.execute(statement.encode(), values).fetchone()
            rows_read, rows_affected, values["time"], values["id"] = row or (0, 0, None, None)
            yield rows_affected
