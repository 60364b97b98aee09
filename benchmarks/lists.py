"""Lists of a tenant with 100,000 builds among 1,000,000, against those of one with 1,000; and the way to get there.

A database at tern 15 is migrated while sessions read and write it as the Go service does. Then each statement of a list
is timed.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import UUID

import click
import psycopg
from psycopg.rows import dict_row
from rich.table import Table

from adapters.embedded.postgres import EmbeddedPostgres

# The very statements of the service.
from adapters.postgres.blueprint_lists import COUNT_ALL, COUNT_SEARCH, PAGE_OF_ALL, PAGE_OF_SEARCH
from adapters.postgres.blueprints import _BY_NAME
from adapters.postgres.compose_lists import COUNT, count_statement, list_statements, values_of
from adapters.postgres.composes import (
    _COUNT_OF_BLUEPRINT,
    _PAGE,
    _PAGE_BY_TYPE,
    _PAGE_OF_BLUEPRINT,
    _REACH_BY_TYPE,
    page_statement,
)
from adapters.postgres.connection import PostgresDatabase, session_parameters
from adapters.postgres.migrate import migrate
from adapters.postgres.starts import PostgresStarts
from benchmarks import database, rounds
from benchmarks.database import LARGE, SMALL, TYPES, Size
from benchmarks.payloads import small_request
from benchmarks.rounds import Target
from domain.compose_filters import ComposeFilters
from domain.composes import LISTED_FOR, ComposesQuery, NewCompose
from domain.paging import Page
from domain.quota import Quota
from domain.starts import NewStart
from image_builder.telemetry import logs
from tests.support import go_service

_TIMES: Final = 3.0
_MILLISECONDS: Final = 50.0
_COUNT_MILLISECONDS: Final = 2.0
_COMBINED_MILLISECONDS: Final = 150.0
# How many statements the others execute before and after the migration, and for how many seconds that is awaited.
_SOME: Final = 200
_PATIENCE: Final = 60.0
_IGNORED: Final = ["rhel-edge-commit", "rhel-edge-installer"]
# A name, and the blueprint that half of the tenant's builds are of.
_OF_TENANT: Final = """
SELECT (SELECT name FROM blueprints WHERE org_id = %(tenant)s AND deleted = false ORDER BY id LIMIT 1) AS name,
       (SELECT blueprint_id FROM blueprint_versions
        WHERE id = (SELECT blueprint_version_id FROM composes
                    WHERE org_id = %(tenant)s AND blueprint_version_id IS NOT NULL LIMIT 1)) AS blueprint
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A statement and its values beside the tenant.

    `compared`: with the small tenant, else it has a `limit` in milliseconds.
    """

    title: str
    statement: str
    values: Mapping[str, Any]
    compared: bool
    limit: float = _MILLISECONDS


def cases(size: Size) -> Iterator[Case]:
    """All statements of lists: first pages, then what reads an index to its end."""
    every = {**values_of(ComposesQuery("", Page(100, 0))), "reach": 100}
    del every["tenant"], every["blueprint"]  # those of the measured tenant
    less, nothing = {**every, "ignored": _IGNORED}, {**every, "ignored": list(TYPES)}
    few = {**every, "ignored": list(TYPES[1:])}
    deep, behind = _at(size.large_has // 2), _at(_REACH_BY_TYPE)
    yield Case("builds, page of 100", _PAGE, every, True)
    yield Case("builds, page of 10", _PAGE, {**every, "limit": 10}, True)
    yield Case("builds without two image types, page of 100", _PAGE_BY_TYPE, less, True)
    yield Case("builds of one image type, page of 100", _PAGE_BY_TYPE, few, True)
    yield Case("builds, all of ignored image types, page of 100", _PAGE_BY_TYPE, nothing, True)
    counted = count_statement(ComposesQuery("", Page(100, 0), tuple(TYPES)))
    yield Case("builds, count", COUNT, every, False, _COUNT_MILLISECONDS)
    yield Case("builds without two image types, count", counted, less, False, _COUNT_MILLISECONDS)
    yield Case("builds, all of ignored image types, count", counted, nothing, False, _COUNT_MILLISECONDS)
    yield Case(f"builds, page at offset {deep['offset']:,}", _PAGE, {**every, **deep}, False)
    yield Case("builds without two image types, the same offset", _PAGE, {**less, **deep}, False)
    yield Case(f"builds, all of ignored image types, offset {behind['offset']:,}", _PAGE, {**nothing, **behind}, False)
    middle = _at(size.large_has // 4)
    yield Case("builds of a blueprint, page of 100", _PAGE_OF_BLUEPRINT, every, True)
    yield Case("builds of a blueprint of one image type, page of 100", _PAGE_OF_BLUEPRINT, few, False)
    yield Case("builds of a blueprint, count", _COUNT_OF_BLUEPRINT, every, False)
    title = f"builds of a blueprint, page at offset {middle['offset']:,}"
    yield Case(title, _PAGE_OF_BLUEPRINT, {**every, **middle}, False)
    listed = {"limit": 100, "offset": 0}
    many, none = ({**listed, "search": f"%{text}%"} for text in ("Server 1", "nowhere"))
    yield Case("blueprints, page of 100", PAGE_OF_ALL, listed, True)
    yield Case("blueprints, page of 10", PAGE_OF_ALL, {**listed, "limit": 10}, True)
    yield Case("blueprints by name", _BY_NAME, {}, True)
    yield Case("blueprints, search that finds many, page of 100", PAGE_OF_SEARCH, many, True)
    yield Case("blueprints, count", COUNT_ALL, listed, False)
    yield Case("blueprints, search that finds many, count", COUNT_SEARCH, many, False)
    yield Case("blueprints, search that finds nothing, count", COUNT_SEARCH, none, False)
    yield Case("blueprints, search that finds nothing, page", PAGE_OF_SEARCH, none, False)
    yield from _filtered()
    half = {**listed, "offset": size.blueprints * 3 // 10}
    yield Case(f"blueprints, page at offset {half['offset']:,}", PAGE_OF_ALL, half, False)


def _filtered() -> Iterator[Case]:
    """Lists of builds with each filter, with all of them, and by name; each filter also where it finds nothing."""
    past = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=2)
    filters = {
        "an image type": ComposeFilters(image_types=("aws",)),
        "an architecture": ComposeFilters(architecture="x86_64"),
        "another architecture": ComposeFilters(architecture="aarch64"),
        "two distributions": ComposeFilters(distributions=("centos-9", "rhel-9")),
        "an unknown blueprint": ComposeFilters(blueprint_id=UUID(int=1)),
        "an unknown user": ComposeFilters(created_by="nobody"),
        "a kind of program": ComposeFilters(client_id="ui"),
        "a part of the name": ComposeFilters(search="server-1"),
        "a text that no name has": ComposeFilters(search="nowhere"),
        "an earliest time": ComposeFilters(created_after=past),
        "a latest time": ComposeFilters(created_before=past),
        "a label that all builds have": ComposeFilters(labels=("team:web",)),
        "a key of a label": ComposeFilters(labels=("nightly",)),
        "a label that no build has": ComposeFilters(labels=("nowhere:x",)),
        "two labels": ComposeFilters(labels=("team:web", "nightly:number-7")),
        "a label and a part of the name": ComposeFilters(labels=("team:web",), search="server-1"),
        "everything": ComposeFilters(
            ("aws", "wsl"),
            "x86_64",
            ("centos-9",),
            client_id="ui",
            search="server",
            created_after=past - timedelta(days=9),
            created_before=past,
            labels=("team:web", "nightly"),
        ),
    }
    combined = ("everything", "two labels", "a label and a part of the name")
    for title, wanted in filters.items():
        limit = _COMBINED_MILLISECONDS if title in combined else _MILLISECONDS
        if title == "an image type":
            limit = _COUNT_MILLISECONDS
        for sort in ("-created_at", "image_name"):
            query = ComposesQuery("", Page(100, 0), filters=wanted, sort=sort)
            found, values = list_statements(query), values_of(query)
            del values["tenant"]
            if sort == "-created_at":
                yield Case(f"builds by {title}, count", found.count, values, False, limit)
            page = page_statement(found.ids, found.key, found.order)
            yield Case(f"builds by {title}, page by {sort}", page, values, False, max(limit, _MILLISECONDS))


def _at(offset: int) -> dict[str, int]:
    """A page of 100."""
    return {"limit": 100, "offset": offset, "reach": offset + 100}


def measured(
    parameters: Mapping[str, Any], case: Case, times: int, figure: Callable[[Sequence[float]], float] = median
) -> dict[str, float]:
    """Milliseconds of the case by tenant, the `figure` of all times; both in turn, in a session like the service's."""
    found: dict[str, list[float]] = {SMALL: [], LARGE: []}
    with psycopg.connect(**session_parameters(parameters), autocommit=True, row_factory=dict_row) as session:
        own = {tenant: session.execute(_OF_TENANT, {"tenant": tenant}).fetchone() or {} for tenant in found}
        for number in range(times + 1):
            for tenant, seconds in found.items():
                values = {"tenant": tenant, **own[tenant], **case.values}
                began = time.perf_counter()
                session.execute(case.statement, values).fetchall()
                if number:
                    seconds.append(time.perf_counter() - began)
    return {tenant: figure(seconds) * 1000 for tenant, seconds in found.items()}


def quota_checked(
    parameters: Mapping[str, Any], times: int, figure: Callable[[Sequence[float]], float] = median
) -> dict[str, float]:
    """Milliseconds of a reservation that the quota refuses, by tenant, as for `measured`."""
    found: dict[str, list[float]] = {SMALL: [], LARGE: []}
    pool = PostgresDatabase(parameters, size=2)
    pool.open()
    new = NewStart(uuid.uuid4(), NewCompose("", "", "", {}, None, "api"), b"")
    try:
        for _ in range(times):
            for tenant, seconds in found.items():
                began = time.perf_counter()
                PostgresStarts(pool).reserve([new], tenant, Quota(100, LISTED_FOR))
                seconds.append(time.perf_counter() - began)
    finally:
        pool.close()
    return {tenant: figure(seconds) * 1000 for tenant, seconds in found.items()}


@dataclass(slots=True)
class Others:
    """What sessions that read and write meanwhile have waited for the database, in seconds."""

    slowest: float = 0.0
    statements: int = 0
    errors: list[str] = field(default_factory=list)

    def wait_for_more(self) -> None:
        """Return when they have executed some more statements. Raises TimeoutError."""
        enough, deadline = self.statements + _SOME, time.monotonic() + _PATIENCE
        while self.statements < enough:
            if time.monotonic() > deadline:
                raise TimeoutError(f"fewer than {_SOME} statements in {_PATIENCE:.0f} s: {self.errors[-1:]}")
            time.sleep(0.01)


# Each group is a transaction. The Go service's own INSERTs: columns that have a default are not named.
_WRITES: Final = (
    (go_service.INSERT_BLUEPRINT, go_service.INSERT_VERSION),
    (go_service.INSERT_COMPOSE,),
    (go_service.DELETE_COMPOSE,),
    # Of old rows, which the migration fills in meanwhile.
    ("UPDATE composes SET image_name = 'changed' WHERE job_id = md5('compose ' || %(old_compose)s)::uuid",),
    ("UPDATE blueprints SET description = 'changed' WHERE id = md5('blueprint ' || %(old_blueprint)s)::uuid",),
)
_READS: Final = (
    ("SELECT request FROM composes WHERE job_id = md5('compose 10')::uuid",),
    ("SELECT count(*) FROM composes WHERE org_id = 'tenant-7' AND deleted = false",),
    ("SELECT name FROM blueprints WHERE org_id = 'tenant-7' AND deleted = false",),
    ("SELECT version FROM blueprint_versions WHERE blueprint_id = md5('blueprint 0')::uuid",),
)


@contextmanager
def others(parameters: Mapping[str, Any], size: Size) -> Iterator[Others]:
    """Sessions that read and write as the Go service does, busy until the block ends."""
    seen, over = Others(), threading.Event()

    def work(transactions: tuple[tuple[str, ...], ...]) -> None:
        with psycopg.connect(**parameters, autocommit=True) as session:
            while not over.is_set():
                values = {
                    **go_service.row("tenant-5", uuid.uuid4().hex, {}, small_request()),
                    "old_compose": random.randrange(size.composes),
                    "old_blueprint": random.randrange(size.blueprints),
                }
                for statements in transactions:
                    _execute(session, statements, values, seen)
                time.sleep(0.01)

    threads = [threading.Thread(target=work, args=(each,)) for each in (_WRITES, _READS)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _execute(
    session: psycopg.Connection[Any], statements: tuple[str, ...], values: Mapping[str, Any], seen: Others
) -> None:
    """Execute the statements in one transaction and note how long each took, or the error."""
    try:
        with session.transaction():
            for statement in statements:
                began = time.perf_counter()
                try:
                    session.execute(statement, values)
                finally:
                    seen.slowest = max(seen.slowest, time.perf_counter() - began)
                    seen.statements += 1
    except psycopg.Error as error:
        seen.errors.append(str(error))


def _timed(title: str, work: Callable[[], object]) -> None:
    began = time.perf_counter()
    work()
    rounds.console.print(f"{title}: {time.perf_counter() - began:.1f} s")


@click.command()
@click.option("--composes", default=1_000_000, show_default=True, help="Builds of all tenants.")
@click.option("--versions", default=100_000, show_default=True, help="Versions of all tenants' blueprints.")
@click.option("--times", default=21, show_default=True, help="How often each statement is run.")
def main(*, composes: int, versions: int, times: int) -> None:
    """Exit status 1 unless first pages cost 3 times the small tenant's, all else 50 ms, and nobody waits a second."""
    logs.configure("INFO")
    size = Size(composes, versions)
    with tempfile.TemporaryDirectory(prefix="image-builder-benchmark-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder) / "data", max_connections=50) as postgres:
            parameters = dict(postgres.connection_parameters())
            _timed("filled", lambda: database.fill(parameters, size))
            with others(parameters, size) as seen:
                seen.wait_for_more()
                _timed("migrated", lambda: migrate(parameters))
                seen.wait_for_more()
            _timed("labelled", lambda: database.add_labels(parameters))
            results = [(case, measured(parameters, case, times)) for case in cases(size)]
            checked = quota_checked(parameters, times)
    table = Table("statement", "1,000 builds, ms", f"{size.large_has:,} builds, ms", title="Medians")
    targets = [
        Target(f"longest of {seen.statements:,} statements during the migration", seen.slowest, 1, " s"),
        Target("statements that failed during the migration", len(seen.errors), 0),
    ]
    for case, milliseconds in results:
        small, large = milliseconds[SMALL], milliseconds[LARGE]
        table.add_row(case.title, f"{small:.2f}", f"{large:.2f}")
        targets.append(
            Target(case.title, large / small, _TIMES, " times")
            if case.compared
            else Target(case.title, large, case.limit, " ms")
        )
    table.add_row("quota check", f"{checked[SMALL]:.2f}", f"{checked[LARGE]:.2f}")
    targets.append(Target("quota check", checked[LARGE] / checked[SMALL], _TIMES, " times"))
    rounds.console.print(table)
    rounds.finish(targets)


if __name__ == "__main__":
    main()
