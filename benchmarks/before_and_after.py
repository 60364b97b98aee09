"""Compares the working tree with a revision: CPU time per request and the 99th percentile, in interleaved rounds.

Both versions of `image-builder serve` run with one worker, databases of the same contents on one PostgreSQL server,
and with the same stand-ins. The revision runs in the current virtual environment if that has its locked
dependencies, else in a new one. CPU time is user and system time of the service's processes. Its ratio is meaningful on
a busy machine, too; seconds are not.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import click
import orjson
import psycopg
import requests
from psycopg import sql
from rich.progress import track
from rich.table import Table

from adapters.embedded.platform import sample_data
from adapters.embedded.platform.process import StandInPlatform
from benchmarks import package_directory, payloads, rounds, wrk
from benchmarks.common import OURS, Server, Surroundings, surroundings
from benchmarks.lookups import request_with_lookups
from benchmarks.rounds import Sample, Target, measured
from benchmarks.throughput import BUILDER, COMPOSE, READER, VERSION
from benchmarks.wrk import Load
from tests.support.service import PROJECT

# The number of clients for which the 99th percentile is compared.
_CLIENTS: Final = 8
# The 99th percentile may be this much larger, or as large as the largest of the version before.
_SPREAD: Final = 1.10
# The locked dependencies of the service, and those of the environment that benchmarks run in.
_SERVICE_LOCK: Final = Path("requirements") / "embedded.txt"
_DEVELOPMENT_LOCK: Final = Path("requirements") / "development.txt"
# Seconds of the first load of each kind: 50 heavy requests on a busy machine take longer than one second.
_WARM_UP: Final = 3
_BLUEPRINTS: Final = 30
_SEARCHED: Final = "centos-9"
_DATE: Final = {"snapshot_date": "2025-03-01"}


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of request. `aim` is the largest ratio of CPU times to reach: after / before."""

    name: str
    title: str
    aim: float
    load: Load
    clients: int = _CLIENTS


@dataclass(frozen=True, slots=True)
class Measurements:
    """The rounds of one row against one server: with the row's number of clients, and with eight."""

    cpu: list[Sample] = field(default_factory=list)
    latency: list[Sample] = field(default_factory=list)

    def add(self, row: Row, server: Server, seconds: float) -> None:
        """Measure one round."""
        sample = measured(server, row.load, connections=row.clients, seconds=seconds)
        self.cpu.append(sample)
        self.latency.append(
            sample if row.clients == _CLIENTS else measured(server, row.load, connections=_CLIENTS, seconds=seconds)
        )

    def cpu_us(self) -> float:
        """CPU microseconds per request."""
        return median(sample.cpu_us for sample in self.cpu)

    def p99(self) -> float:
        """Milliseconds."""
        return median(sample.result.p99 for sample in self.latency)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rounds of one row."""

    row: Row
    before: Measurements = field(default_factory=Measurements)
    after: Measurements = field(default_factory=Measurements)

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios of CPU time: those of one round were measured under the same conditions."""
        pairs = zip(self.before.cpu, self.after.cpu, strict=True)
        return median(after.cpu_us / before.cpu_us for before, after in pairs)

    @property
    def p99_ratio(self) -> float:
        """The ratio of the medians of the 99th percentile with eight clients."""
        return self.after.p99() / self.before.p99()

    @property
    def p99_limit(self) -> float:
        """The largest value of `p99_ratio` that counts as no slower."""
        return max(_SPREAD, max(sample.result.p99 for sample in self.before.latency) / self.before.p99())


def create_rows(running: str) -> list[Row]:
    """Return the rows of the table; `running` is the id of a running build of the reader."""
    base = payloads.BASE
    # 65 of the 6,844 names contain it.
    search = f"{base}/packages?distribution={_SEARCHED}&architecture=x86_64&search=has"
    return [
        Row("version", "GET /version, 16 clients", 150 / 248, VERSION, 16),
        Row("architectures", "GET /architectures", 150 / 275, Load(f"{base}/architectures/rhel-9", READER)),
        Row("packages", "GET /packages?search=has", 350 / 1035, Load(search, READER)),
        Row("page10", "page of 10 composes", 500 / 914, Load(f"{base}/composes?limit=10", READER)),
        Row("page100", "page of 100 composes", 1300 / 2248, Load(f"{base}/composes?limit=100", READER)),
        Row("blueprints", "page of 10 blueprints", 450 / 733, Load(f"{base}/blueprints?limit=10", READER)),
        Row("status", "status of a running build", 300 / 456, Load(f"{base}/composes/{running}", READER)),
        Row("compose", "POST /compose, no look-ups", 1600 / 3129, COMPOSE),
        Row(
            "compose-sources",
            "POST /compose, content sources, 50 clients",
            3000 / 5499,
            Load(COMPOSE.path, BUILDER, orjson.dumps(_request_with_repository())),
            50,
        ),
        Row(
            "compose-all",
            "POST /compose, all look-ups, 50 clients",
            12000 / 23058,
            Load(COMPOSE.path, BUILDER, orjson.dumps(request_with_lookups(_DATE))),
            50,
        ),
    ]


def _request_with_repository() -> dict[str, Any]:
    request = payloads.compose_request()
    request["customizations"]["custom_repositories"] = [{"id": sample_data.EXTERNAL}]
    return request


@contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """Check the revision out into a folder that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="image-builder-revision-", dir="/var/tmp") as folder:
        path = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(path), revision], cwd=PROJECT, check=True)
        try:
            yield path
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(path)], cwd=PROJECT, check=True)


def create_environment(project: Path, folder: Path) -> str:
    """Return a Python interpreter with the locked dependencies of a source tree; a new environment is in `folder`."""
    if _pins(project / _SERVICE_LOCK) <= _pins(PROJECT / _DEVELOPMENT_LOCK):
        return sys.executable
    rounds.console.print("The dependencies of the revision differ: installing them")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    install = ["-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(project / _SERVICE_LOCK)]
    subprocess.run([python, *install], check=True)
    return python


def _pins(lock_file: Path) -> set[str]:
    """The packages of a lock file with their versions, without hashes and comments."""
    return {line.rstrip("\\ ") for line in lock_file.read_text().splitlines() if "==" in line}


@contextmanager
def servers(revision: str) -> Iterator[tuple[Server, Server, str]]:
    """Start the service of the revision and that of the working tree.

    Yields both, and the id of a running build, which has the same id for both.
    """
    with ExitStack() as stack:
        where = stack.enter_context(surroundings(composes=0))
        platform = stack.enter_context(StandInPlatform())
        # No build ends, so that the row "status" asks the composer each time.
        where.composer.steer(image_status={"status": "building"})
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="image-builder-", dir="/var/tmp")))
        packages = package_directory.make(folder / "distributions")
        environment = {
            **where.environment(),
            "DISTRIBUTIONS_DIR": str(packages),
            "CONTENT_SOURCES_URL": platform.content_sources_url,
            "CONTENT_SOURCES_REPO_URL": platform.url,
            "PROVISIONING_URL": platform.provisioning_url,
            "COMPLIANCE_URL": platform.compliance_url,
            # The watcher would ask for the builds of both services at other times.
            "STATUS_LOOKS_PER_SECOND": "0",
        }
        tree = stack.enter_context(worktree(revision))
        before = stack.enter_context(
            _serve(where, "before", tree, environment, create_environment(tree, folder / "environment"))
        )
        after = stack.enter_context(_serve(where, "after", PROJECT, environment, sys.executable))
        running = _start_build(before)
        _copy_build(where, running)
        for server in (before, after):
            _save_blueprints(server)
        yield before, after, running


def _serve(where: Surroundings, name: str, project: Path, environment: Mapping[str, str], python: str) -> Server:
    """Create and migrate a database for this version, and return its server, which is not yet started."""
    database = {**where.database, "dbname": f"image_builder_{name}"}
    with psycopg.connect(**where.database, autocommit=True) as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database["dbname"])))
    environment = {**environment, "PGDATABASE": database["dbname"]}
    subprocess.run(
        [python, "-m", "image_builder", "migrate"],
        env={**environment, "PYTHONPATH": str(project), "LOG_LEVEL": "WARNING"},
        cwd="/",
        check=True,
    )
    payloads.seed(database, composes=120, user_every=4)
    return Server(name, OURS, environment, project, python)


def _start_build(server: Server) -> str:
    answer = requests.post(f"{server.url}{COMPOSE.path}", json=payloads.compose_request(), headers=READER, timeout=20)
    answer.raise_for_status()
    return str(answer.json()["id"])


def _copy_build(where: Surroundings, build: str) -> None:
    """Copy the build from the database of the version before to that of the version after."""
    columns = "job_id, request, created_at, account_number, org_id, email, image_name, client_id"
    databases = ({**where.database, "dbname": f"image_builder_{name}"} for name in ("before", "after"))
    source, target = (psycopg.connect(**database) for database in databases)
    with source, target:
        values = source.execute(
            f"SELECT job_id, request::text, {columns.partition('request, ')[2]} FROM composes WHERE job_id = %s",
            (build,),
        ).fetchone()
        assert values is not None
        target.execute(f"INSERT INTO composes ({columns}) VALUES ({', '.join(['%s'] * len(values))})", values)


def _save_blueprints(server: Server) -> None:
    for number in range(_BLUEPRINTS):
        request = payloads.compose_request()
        document = {
            "name": f"web-{number}",
            "description": "Web servers",
            **{name: request[name] for name in ("distribution", "image_requests", "customizations")},
        }
        answer = requests.post(f"{server.url}{payloads.BASE}/blueprints", json=document, headers=READER, timeout=20)
        answer.raise_for_status()


def _check_search(server: Server) -> None:
    """Raise RuntimeError unless the search reads a package list."""
    path = f"{payloads.BASE}/packages?distribution={_SEARCHED}&architecture=x86_64&search="
    count = requests.get(server.url + path, headers=READER, timeout=20).json()["meta"]["count"]
    if count < 1000:
        raise RuntimeError(f"{_SEARCHED} has {count} packages only")


def compare(rows: list[Row], before: Server, after: Server, *, count: int, seconds: float) -> list[Comparison]:
    """Measure each row against both servers in each round; which of them comes first alternates.

    A round of two seconds, of which a row has five or more, is long enough: the median drops those that maintenance of
    the database or a garbage collection disturbs.
    """
    for row in rows:  # connections, caches and threads
        for server in (before, after):
            wrk.run(server.url, row.load, connections=row.clients, seconds=_WARM_UP)
    found = [Comparison(row) for row in rows]
    for number in track(range(count), "rounds", console=rounds.console, transient=True):
        for each in found:
            order = [(before, each.before), (after, each.after)]
            for server, measurements in order if number % 2 else reversed(order):
                measurements.add(each.row, server, seconds)
    return found


def table_of(title: str, found: list[Comparison]) -> Table:
    """The table of a comparison."""
    table = Table(title=title)
    table.add_column("request")
    for column in ("CPU us before", "after", "ratio", "aim", "p99 ms before", "after", "ratio"):
        table.add_column(column, justify="right")
    for each in found:
        table.add_row(
            each.row.title,
            f"{each.before.cpu_us():,.0f}",
            f"{each.after.cpu_us():,.0f}",
            f"{each.ratio:.2f}",
            f"{each.row.aim:.2f}",
            f"{each.before.p99():,.1f}",
            f"{each.after.p99():,.1f}",
            f"{each.p99_ratio:.2f}",
        )
    return table


@click.command()
@click.argument("revision")
@click.option("--rows", "names", default="", help="Names of rows, separated by commas.  [default: all]")
@click.option("--rounds", "count", default=5, show_default=True, help="Rounds.")
@click.option("--seconds", default=2, show_default=True, help="Seconds of each measurement.")
def main(*, revision: str, names: str, count: int, seconds: int) -> None:
    """Compare the working tree with REVISION. The exit status is 1 if a kind of request misses its target."""
    wrk.need()
    with servers(revision) as (before, after, running):
        rows = create_rows(running)
        known = {row.name: row for row in rows}
        unknown = sorted(set(filter(None, names.split(","))) - set(known))
        if unknown:
            raise click.BadParameter(f"{', '.join(unknown)}: choose from {', '.join(known)}", param_hint="--rows")
        chosen = [row for row in rows if not names or row.name in names.split(",")]
        _check_search(after)
        found = compare(chosen, before, after, count=count, seconds=seconds)
    rounds.console.print(table_of(f"{revision} and the working tree: medians of {count} rounds", found))
    rounds.finish(
        [
            *(Target(f"{each.row.title}: CPU", each.ratio, round(each.row.aim, 3)) for each in found),
            *(Target(f"{each.row.title}: 99th percentile", each.p99_ratio, round(each.p99_limit, 2)) for each in found),
        ]
    )


if __name__ == "__main__":
    main()
