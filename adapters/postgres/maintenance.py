"""The upkeep of the tables: statements that find a bounded number of rows by an index, and wait for nobody.

Each takes up after the row where the one before it ended, so that none looks at a row twice, removed ones included.
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

from adapters.postgres.connection import first_line, session_parameters
from domain.errors import ConfigurationError, UnavailableError
from domain.idempotency import KEPT_FOR
from ports.maintenance import MaintainedAlreadyError

# Rows that are locked together, for some tens of milliseconds.
BATCH: Final = 1000

# Any number will do that no other advisory lock of this database uses.
_LOCK: Final = 0x1B0004
_INDEX: Final = "composes_created_at_job_id_idx"
_HEARD_WITHIN: Final = 0.1

# A batch that a crash of the server takes back is done by the next run: nobody's commit waits for the disk behind it.
# What it writes goes to the disk bit by bit, and not at once when others want the disk for their commits. VACUUM goes
# no faster than the server's own. Stale statistics lead to no scan of the whole table.
_OPTIONS: Final = (
    "-c synchronous_commit=off -c backend_flush_after=256kB -c vacuum_cost_delay=2 "
    "-c enable_seqscan=off -c enable_bitmapscan=off -c jit=off"
)

_CUTOFF: Final = """
SELECT ((clock_timestamp() AT TIME ZONE 'utc') - make_interval(months => %(months)s))::text,
       ((clock_timestamp() AT TIME ZONE 'utc') - %(kept_for)s::interval)::text
"""

_INDEX_IS_THERE: Final = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND indisvalid"

# The rows passed, those concerned, and where the next batch takes up; times as text, because there are some that
# Python does not know.
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

# Strict: a path that goes through whatever it finds would say yes to shapes that the statement below does not change.
_PAGE_OF_REQUESTS: Final = """
SELECT created_at, job_id AS id,
       request @? 'strict $.customizations.users[*] ? (@.type() == "object" && exists(@.password))' AS bears_password
FROM composes
WHERE (created_at, job_id) > (%(time)s::timestamp, %(id)s::uuid)
ORDER BY created_at, job_id
LIMIT %(size)s
"""

COUNT_PASSWORDS: Final = f"""
WITH page AS MATERIALIZED ({_PAGE_OF_REQUESTS})
SELECT counted.rows, counted.bearing, last.created_at, last.id
FROM (SELECT count(*) AS rows, count(*) FILTER (WHERE bears_password) AS bearing FROM page) counted {_OUTCOME}
"""  # noqa: S608

# The rule of domain.compose.passwords.present_request in SQL: a request that went through Python and back would not be
# the same, because PostgreSQL keeps numbers that nothing else reads.
TAKE_OUT_PASSWORDS: Final = f"""
WITH page AS MATERIALIZED ({_PAGE_OF_REQUESTS}),
bearing AS (
    SELECT job_id FROM composes WHERE job_id IN (SELECT id FROM page WHERE bears_password)
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
    FROM bearing WHERE composes.job_id = bearing.job_id
    RETURNING 1
)
SELECT counted.rows, (SELECT count(*) FROM changed), last.created_at, last.id
FROM (SELECT count(*) AS rows FROM page) counted {_OUTCOME}
"""  # noqa: S608

# Giving the end of the file back to the disk would keep everybody out meanwhile.
_VACUUM: Final = "VACUUM (ANALYZE, TRUNCATE false) composes"

log = structlog.get_logger()


@contextmanager
def upkeep(parameters: Mapping[str, Any], retention_months: int) -> Iterator[PostgresUpkeep]:
    """The upkeep of this database, by the only one who does it now; composes are kept for `retention_months`.

    Raises MaintainedAlreadyError, UnavailableError when the database is away, ConfigurationError for one that was not
    migrated.
    """
    ours = session_parameters(parameters)
    try:
        with psycopg.connect(
            **{**ours, "options": f"{ours['options']} {_OPTIONS}"}, autocommit=True, prepare_threshold=None
        ) as session:
            session.add_notice_handler(lambda notice: log.warning("the database says", text=notice.message_primary))
            yield _begun(session, retention_months)
    except psycopg.OperationalError as error:
        raise UnavailableError(f"The database is not available: {first_line(error)}") from error
    except psycopg.Error as error:
        raise ConfigurationError(f"The database cannot be maintained: {first_line(error)}") from error


def _begun(session: psycopg.Connection[Any], retention_months: int) -> PostgresUpkeep:
    if session.execute(_INDEX_IS_THERE, (_INDEX,)).fetchone() is None:
        raise ConfigurationError("The database lacks an index of this version: run `image-builder migrate` first")
    (ours,) = session.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone() or (False,)
    if not ours:
        raise MaintainedAlreadyError("Another maintenance of this database runs")
    values = {"months": retention_months, "kept_for": KEPT_FOR}
    cutoff, cutoff_of_keys = session.execute(_CUTOFF, values).fetchone() or ("-infinity", "-infinity")
    return PostgresUpkeep(session, cutoff, cutoff_of_keys)


class PostgresUpkeep:
    """Fulfils ports.maintenance.Upkeep."""

    def __init__(self, session: psycopg.Connection[Any], cutoff: str, cutoff_of_keys: str) -> None:
        self._session = session
        self._cutoff = cutoff
        self._cutoff_of_keys = cutoff_of_keys

    @property
    def cutoff(self) -> str:
        """See the port."""
        return self._cutoff

    def expired(self, *, remove: bool) -> Iterator[int]:
        """See the port."""
        return self._batches(REMOVE_EXPIRED if remove else COUNT_EXPIRED, self._cutoff)

    def expired_starts(self, *, remove: bool) -> Iterator[int]:
        """See the port."""
        return self._batches(REMOVE_STARTS if remove else COUNT_STARTS, self._cutoff)

    def expired_keys(self, *, remove: bool) -> Iterator[int]:
        """See the port."""
        return self._batches(REMOVE_KEYS if remove else COUNT_KEYS, self._cutoff_of_keys)

    def with_passwords(self, *, take_out: bool) -> Iterator[int]:
        """See the port. Composes that are too old are not looked at: they go anyway."""
        return self._batches(TAKE_OUT_PASSWORDS if take_out else COUNT_PASSWORDS, None, since=self._cutoff)

    def vacuum(self, over: Callable[[], bool]) -> bool:
        """See the port."""
        self._session.execute("SET statement_timeout = 0")
        warnings: list[str | None] = []
        # Without the privilege there is a warning and no error.
        self._session.add_notice_handler(lambda notice: warnings.append(notice.message_primary))
        with ThreadPoolExecutor(1) as thread:
            working = thread.submit(self._session.execute, _VACUUM)
            while wait((working,), timeout=_HEARD_WITHIN).not_done:
                if over():
                    self._session.cancel_safe()
        try:
            working.result()
        except errors.QueryCanceled:
            return False
        return not warnings

    def _batches(self, statement: str, cutoff: str | None, since: str = "-infinity") -> Iterator[int]:
        values = {"cutoff": cutoff, "time": since, "id": UUID(int=0), "size": BATCH}
        passed = BATCH
        while passed == BATCH:
            row = self._session.execute(statement.encode(), values).fetchone()
            passed, concerned, values["time"], values["id"] = row or (0, 0, None, None)
            yield concerned
