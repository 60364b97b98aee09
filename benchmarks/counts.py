"""Counts, quota checks and pages by cursor of an organization with 1,000,000 builds in 14 days: time in the database.

It is the execution time of EXPLAIN ANALYZE, in a session like the service's, so that a busy client does not count.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import UUID

import click
import psycopg
from rich.table import Table

from adapters.embedded.postgres import EmbeddedPostgres

# The very statements of the service.
from adapters.postgres.compose_lists import count_statement, list_statements, values_of
from adapters.postgres.composes import page_statement
from adapters.postgres.connection import session_parameters
from adapters.postgres.migrate import migrate
from adapters.postgres.starts import _USAGE
from benchmarks import rounds
from benchmarks.database import TYPES
from benchmarks.rounds import Target
from domain.compose_filters import ComposeFilters
from domain.composes import LISTED_FOR, ComposesQuery
from domain.paging import Cursor, Page
from image_builder.telemetry import logs

_TENANT: Final = "tenant-million"
_SPAN: Final = timedelta(days=13, hours=23)
_COUNT_MILLISECONDS: Final = 2.0
# A page by cursor may cost this many times what the first page costs, wherever it is.
_TIMES: Final = 1.5
# Lists begin at these hours before now: their counts begin at different places of the periods that are counted.
_BEGINNINGS: Final = tuple(_SPAN - timedelta(minutes=minutes) for minutes in (10, 130, 250))

# Without triggers, which would take minutes; then the counts are filled as a migration fills them.
_FILL: Final = """
INSERT INTO composes (job_id, request, created_at, account_number, org_id, image_name, deleted, client_id)
SELECT md5('compose ' || n)::uuid, '{}', (now() AT TIME ZONE 'utc') - %(span)s * (n::float / %(builds)s), '',
       %(tenant)s, 'web-server-' || n, n %% 50 = 49, 'ui'
FROM generate_series(1, %(builds)s) n;
INSERT INTO compose_list_entries (job_id, org_id, created_at, image_type, architecture, distribution, lower_name,
                                  client_id)
SELECT job_id, org_id, created_at,
       (%(types)s::text[])[1 + get_byte(uuid_send(job_id), 0) %% cardinality(%(types)s::text[])],
       'x86_64', 'centos-9', image_name, client_id
FROM composes WHERE NOT deleted;
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A statement with its values. `limit` is in milliseconds; None for the page that others are compared with."""

    title: str
    statement: str
    values: Mapping[str, Any]
    limit: float | None = _COUNT_MILLISECONDS


def fill(parameters: Mapping[str, Any], builds: int) -> None:
    """Migrate the empty database, and give the organization its builds."""
    migrate(parameters)
    values = {"span": _SPAN, "builds": builds, "tenant": _TENANT, "types": list(TYPES)}
    with psycopg.connect(**parameters, autocommit=True, cursor_factory=psycopg.ClientCursor) as session:
        session.execute("SET session_replication_role = replica")
        session.execute(_FILL, values)
        session.execute("RESET session_replication_role")
        session.execute("CALL compose_counts_repair()")
        session.execute(
            "VACUUM (ANALYZE) composes, compose_list_entries, compose_counts, compose_fine_counts, compose_quota_counts"
        )


def cases(builds: int) -> Iterator[Case]:
    """The counts of lists and quotas, and pages by cursor; the first page comes before them."""
    kinds = {
        "all": ComposesQuery(_TENANT, Page(10, 0)),
        "all but two image types": ComposesQuery(_TENANT, Page(10, 0), TYPES[:2]),
        "one image type": ComposesQuery(_TENANT, Page(10, 0), filters=ComposeFilters(image_types=TYPES[:1])),
    }
    for title, query in kinds.items():
        for beginning in _BEGINNINGS:
            values = {**values_of(query), "listed_for": beginning}
            yield Case(f"count of {title}, of {beginning}", count_statement(query), values)
    for limit in (100, 1_000, builds // 2, builds * 2):
        values = {"tenant": _TENANT, "window": LISTED_FOR, "limit": limit}
        yield Case(f"check of a quota of {limit:,}", _USAGE, values)
    for share in (0.0, 0.05, 0.5, 0.95):
        at = datetime.now(UTC).replace(tzinfo=None) - _SPAN * share
        query = ComposesQuery(_TENANT, Page(10, 0), cursor=Cursor("-created_at", str(at), UUID(int=0)))
        statements = list_statements(query)
        page = page_statement(statements.ids, statements.key, statements.order)
        limit_ = None if share == 0 else _TIMES
        yield Case(f"page by cursor behind {share:.0%} of the builds", page, values_of(query), limit_)


def milliseconds(session: psycopg.Connection[Any], case: Case, times: int) -> float:
    """The median of the execution times."""
    found = []
    for _ in range(times):
        statement = f"EXPLAIN (ANALYZE, TIMING OFF) {case.statement}"
        rows = session.execute(statement.encode(), case.values).fetchall()
        match = re.search(r"Execution Time: ([\d.]+) ms", rows[-1][0])
        assert match is not None
        found.append(float(match[1]))
    return median(found)


@click.command()
@click.option("--builds", default=1_000_000, show_default=True, help="Builds of the organization.")
@click.option("--times", default=11, show_default=True, help="How often each statement is run.")
def main(*, builds: int, times: int) -> None:
    """Exit status 1 unless counts and checks take 2 ms at most, and each page by cursor 1.5 times the first."""
    logs.configure("WARNING")
    with tempfile.TemporaryDirectory(prefix="image-builder-benchmark-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder) / "data", settings={"fsync": "off"}) as postgres:
            parameters = dict(postgres.connection_parameters())
            fill(parameters, builds)
            with psycopg.connect(**session_parameters(parameters), autocommit=True) as session:
                results = [(case, milliseconds(session, case, times)) for case in cases(builds)]
    table = Table("statement", "ms", title=f"Execution times in the database, {builds:,} builds: medians of {times}")
    for case, found in results:
        table.add_row(case.title, f"{found:.2f}")
    rounds.console.print(table)
    first = next(found for case, found in results if case.limit is None)
    rounds.finish(
        Target(case.title, found / first, case.limit, " times")
        if case.limit == _TIMES
        else Target(case.title, found, case.limit, " ms")
        for case, found in results
        if case.limit is not None
    )


if __name__ == "__main__":
    main()
