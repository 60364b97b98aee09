"""Maintenance with a million composes to remove: how long does anybody else wait for it?

The service's own statements read pages, record builds, and hide composes that are about to be removed, before and
while `image-builder maintenance` works.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import UUID, uuid4

import click
import orjson
import psycopg
from psycopg.types.json import Jsonb
from rich.table import Table

from adapters.embedded.postgres import EmbeddedPostgres
from adapters.postgres.composes import PostgresComposes
from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.migrate import migrate
from adapters.postgres.migration_files import migrations
from adapters.postgres.starts import PostgresStarts
from benchmarks import payloads, rounds
from benchmarks.rounds import Target
from domain.composes import ComposesQuery, NewCompose
from domain.paging import Page
from domain.quota import Quota
from domain.starts import NewStart
from image_builder.telemetry import logs
from tests.support.service import PROJECT

_LONGEST_WAIT_MS: Final = 250
# Those that are being hidden at the moment are left to the next run.
_REMOVED_AT_LEAST: Final = 0.999
# Composes that stay: one for so many that go, and one in ten of them holds a password.
_STAY: Final = 10
_PAUSE: Final = 0.005

_INSERT: Final = """
INSERT INTO composes (job_id, request, created_at, account_number, org_id)
SELECT gen_random_uuid(), CASE n %% 10 WHEN 0 THEN %(with_password)s::jsonb ELSE %(request)s::jsonb END,
       (clock_timestamp() AT TIME ZONE 'utc') - %(until)s::interval - n * interval '1 second', '7',
       CASE n %% 1000 WHEN 0 THEN %(reader)s ELSE 'org-' || n %% 997 END
FROM generate_series(1, %(number)s) n
"""


@dataclass(slots=True)
class Waits:
    """The seconds that each call of one kind took."""

    title: str
    call: Callable[[], object]
    taken: list[float] = field(default_factory=list)

    def until(self, ended: threading.Event) -> None:
        """Call again and again."""
        while not ended.is_set():
            began = time.perf_counter()
            self.call()
            self.taken.append(time.perf_counter() - began)
            ended.wait(_PAUSE)


@click.command()
@click.argument("number", type=click.IntRange(1000), default=1_000_000)
@click.option(
    "--quiet",
    "quiet_seconds",
    default=30.0,
    show_default=True,
    help="Seconds of the same calls alone, before the maintenance.",
)
def main(*, number: int, quiet_seconds: float) -> None:
    """Remove NUMBER composes (a million if not given). Exit status 1 if somebody waits longer than 250 ms meanwhile."""
    logs.configure("WARNING")
    with tempfile.TemporaryDirectory(prefix="image-builder-benchmark-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder) / "data", max_connections=100) as postgres:
            parameters = dict(postgres.connection_parameters())
            _seed(parameters, number)
            migrate(parameters)
            with _calls(parameters, number) as calls:
                with _going_on(quiet := calls()):
                    time.sleep(quiet_seconds)
                with _going_on(beside := calls()):
                    began = time.monotonic()
                    outcome = _maintained(parameters)
                    seconds = time.monotonic() - began
    rounds.console.print(_table(quiet, beside, f"{number:,} composes removed in {seconds:.0f} s: {outcome}"))
    rounds.finish(
        [
            Target("composes removed", outcome["composes_expired"], number * _REMOVED_AT_LEAST, at_most=False),
            *(
                Target(f"{each.title}: longest wait", max(each.taken) * 1000, _LONGEST_WAIT_MS, " ms")
                for each in beside
            ),
        ]
    )


def _seed(parameters: Mapping[str, Any], number: int) -> None:
    """Make the tables of tern 15 and fill them: with later triggers that would take hours for a million rows."""
    user = {"name": "u", "groups": ["wheel"], "password": "$6$salt$" + "hash" * 20}
    request = payloads.small_request()
    with_password = {**request, "customizations": {**request["customizations"], "users": [user]}}
    values = {
        "request": Jsonb(request, dumps=orjson.dumps),
        "with_password": Jsonb(with_password, dumps=orjson.dumps),
        "reader": payloads.READER,
    }
    with psycopg.connect(**parameters, autocommit=True) as session:
        session.execute(migrations()[0].statements.encode())
        for until, rows in ((timedelta(days=3 * 366), number), (timedelta(0), number // _STAY)):
            session.execute(_INSERT, {**values, "until": until, "number": rows})
        session.execute("VACUUM ANALYZE composes")
        session.execute("CHECKPOINT")


@contextmanager
def _calls(parameters: Mapping[str, Any], number: int) -> Iterator[Callable[[], list[Waits]]]:
    """Calls of the service's statements, by a pool as it has."""
    pool = PostgresDatabase(parameters, size=10)
    pool.open()
    composes, starts = PostgresComposes(pool), PostgresStarts(pool)
    expired = _expired(parameters, number)
    query = ComposesQuery(payloads.READER, Page(100, 0))
    new = NewCompose(payloads.BUILDER, "7", "u@example.com", payloads.compose_request(), None, "ui")

    def record() -> None:
        start = uuid4()
        starts.reserve([NewStart(start, new, b"")], payloads.BUILDER, Quota(1_000_000, timedelta(hours=1)))
        starts.record(start, uuid4(), new)

    try:
        yield lambda: [
            Waits("read a page", lambda: composes.find_page(query)),
            Waits("record a build", record),
            Waits("hide a compose that goes", lambda: composes.delete(payloads.READER, random.choice(expired))),
        ]
    finally:
        pool.close()


def _expired(parameters: Mapping[str, Any], number: int) -> list[UUID]:
    """The reader's composes among those that go."""
    with psycopg.connect(**parameters) as session:
        rows = session.execute(
            "SELECT job_id FROM composes WHERE org_id = %s ORDER BY created_at LIMIT %s",
            (payloads.READER, number // 1000),
        )
        return [row[0] for row in rows]


@contextmanager
def _going_on(calls: list[Waits]) -> Iterator[None]:
    ended = threading.Event()
    threads = [threading.Thread(target=each.until, args=(ended,)) for each in calls]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _maintained(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The last line of the log of a maintenance. Raises RuntimeError unless it ends well."""
    ended = subprocess.run(
        [sys.executable, "-m", "image_builder", "maintenance"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT),
            "PGHOST": str(parameters["host"]),
            "PGPORT": str(parameters["port"]),
            "PGDATABASE": str(parameters["dbname"]),
            "PGUSER": str(parameters["user"]),
            "PGPASSWORD": str(parameters["password"]),
            "PGSSLMODE": "disable",
            "ENABLE_DB_MAINTENANCE": "true",
            "DRY_RUN": "false",
        },
        cwd="/",
        stdout=subprocess.PIPE,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"the maintenance failed: {ended.stdout.decode()}")
    last: dict[str, Any] = orjson.loads(ended.stdout.splitlines()[-1])
    return {name: last[name] for name in ("composes_expired", "composes_with_passwords", "vacuumed")}


def _table(quiet: list[Waits], beside: list[Waits], title: str) -> Table:
    table = Table(title=title)
    for column in ("call", "meanwhile", "calls", "median ms", "longest ms"):
        table.add_column(column, justify="left" if column in {"call", "meanwhile"} else "right")
    for meanwhile, calls in (("nothing", quiet), ("maintenance", beside)):
        for each in calls:
            taken = [seconds * 1000 for seconds in each.taken]
            table.add_row(each.title, meanwhile, f"{len(taken):,}", f"{median(taken):.2f}", f"{max(taken):.1f}")
    return table


if __name__ == "__main__":
    main()
