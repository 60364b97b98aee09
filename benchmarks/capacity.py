"""How many users 1, 2 and 4 worker processes carry, and what is busy then: the table of docs/capacity.md.

The embedded default, asked by Locust as `make load` does, all on one machine. For each number of workers the users are
raised until a service level is missed, or to the last of the steps.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import click

from benchmarks import rounds
from benchmarks.rounds import Target
from tests.load.__main__ import UNLIMITED, locust
from tests.support.embedded import embedded
from tests.support.service import PROJECT

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_LOOK: Final = 0.5
_DOCUMENT: Final = PROJECT / "docs" / "capacity.md"
_BEGIN: Final = "<!-- capacity: begin -->"
_END: Final = "<!-- capacity: end -->"
# CPU time of a request with several workers, compared with one.
_MAX_RATIO: Final = 1.15
# Whose processes they are, by a word of their command lines; the first that fits counts.
_PARTS: Final = {
    "PostgreSQL": "postgres",
    "composer": "adapters.embedded.composer",
    "platform": "adapters.embedded.platform",
    "Locust": "locust",
    "service": "",
}


@dataclass(frozen=True, slots=True)
class Result:
    """One step: what Locust reports, the cores that each part took, and the service's CPU time of a request in ms."""

    workers: int
    users: int
    kept: bool
    load: dict[str, Any]
    cores: dict[str, float]
    busiest_process: float
    request_ms: float


class Watch:
    """CPU time of this process' descendants, looked at twice a second."""

    def __init__(self) -> None:
        self.cores: dict[str, list[float]] = {part: [] for part in _PARTS}
        self.busiest: list[float] = []
        self._before = _processes()
        self._at = time.monotonic()

    def look(self) -> None:
        """Once more."""
        now, at = _processes(), time.monotonic()
        spent = {
            process: (part, (ticks - self._before[process][1]) / _TICKS / (at - self._at))
            for process, (part, ticks) in now.items()
            if process in self._before
        }
        for part, seen in self.cores.items():
            seen.append(sum(cores for owner, cores in spent.values() if owner == part))
        self.busiest.append(max((cores for owner, cores in spent.values() if owner == "service"), default=0.0))
        self._before, self._at = now, at


@contextmanager
def watched() -> Iterator[Watch]:
    """Meanwhile a thread looks."""
    watch, enough = Watch(), Event()

    def look() -> None:
        while not enough.wait(_LOOK):
            watch.look()

    thread = Thread(target=look)
    thread.start()
    try:
        yield watch
    finally:
        enough.set()
        thread.join()


def _processes() -> dict[int, tuple[str, int]]:
    """Part and ticks of CPU of each descendant of this process."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            try:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(path.name)] = int(fields[1])
            ticks[int(path.name)] = int(fields[11]) + int(fields[12])
    return {process: (_part(process), ticks[process]) for process in parents if _is_ours(process, parents)}


def _is_ours(process: int, parents: dict[int, int]) -> bool:
    while process > 1:
        process = parents.get(process, 0)
        if process == os.getpid():
            return True
    return False


def _part(process: int) -> str:
    try:
        command = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""
    return next(part for part, word in _PARTS.items() if word in command)


def steady(figures: list[float]) -> float:
    """The mean of the second half, when all users have come."""
    half = figures[len(figures) // 2 :]
    return sum(half) / len(half) if half else 0.0


def step(url: str, workers: int, users: int, seconds: int, folder: Path) -> Result:
    """Ask as that many users for that long, after all of them have come."""
    summary = folder / "summary.json"
    options = {
        **os.environ,
        "USERS": str(users),
        "SPAWN_RATE": str(users / 4),
        "DURATION": f"{seconds + 4}s",
        "STOP_TIMEOUT": "2",
        "LOAD_SUMMARY": str(summary),
        "REPORT": str(Path("build", "load", f"{workers}-workers-{users}-users.html").resolve()),
    }
    with watched() as watch:
        status = locust(url, options)
    cores = {part: steady(seen) for part, seen in watch.cores.items()}
    load = json.loads(summary.read_text())
    request_ms = cores["service"] / load["rate"] * 1000
    return Result(workers, users, status == 0, load, cores, steady(watch.busiest), request_ms)


def table(results: list[Result]) -> str:
    """What docs/capacity.md shows."""
    cores = [f"{part}, cores" for part in (*_PARTS, "busiest process of the service")]
    heads = ["workers", "users", "requests/s", "median ms", "95 % ms", "builds in time", "service levels"]
    heads += ["service, CPU ms a request", *cores]
    rows = [heads, ["---:"] * len(heads)]
    for each in results:
        in_time = each.load["levels"]["compose latency"]["share"]
        figures = [str(each.workers), str(each.users), f"{each.load['rate']:.0f}"]
        figures += [f"{each.load['median']:.0f}", f"{each.load['p95']:.0f}", f"{in_time:.1%}"]
        figures += ["kept" if each.kept else "missed", f"{each.request_ms:.2f}"]
        rows.append(figures + [f"{each.cores[part]:.2f}" for part in _PARTS] + [f"{each.busiest_process:.2f}"])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return f"{os.cpu_count()} cores for all of it, Python {platform.python_version()}:\n\n" + "\n".join(lines)


def ratios(results: list[Result]) -> list[Target]:
    """CPU time of a request with several workers, as ratios to one worker under the same numbers of users."""
    counts = sorted({each.workers for each in results} - {1})
    targets = []
    for workers in counts:
        users = {each.users for each in results if each.workers == 1}
        users &= {each.users for each in results if each.workers == workers}
        if users:
            ratio = _request_seconds(results, workers, users) / _request_seconds(results, 1, users)
            targets.append(Target(f"CPU per request, {workers} workers to one", ratio, _MAX_RATIO))
    return targets


def _request_seconds(results: list[Result], workers: int, users: set[int]) -> float:
    """The service's CPU seconds of a request in all steps with these workers and one of these numbers of users."""
    steps = [each for each in results if each.workers == workers and each.users in users]
    return sum(each.cores["service"] for each in steps) / sum(float(each.load["rate"]) for each in steps)


@click.command()
@click.option("--workers", "counts", multiple=True, type=int, default=(1, 2, 4), show_default=True)
@click.option("--users", "steps", multiple=True, type=int, default=(200, 400, 800), show_default=True)
@click.option("--seconds", default=24, show_default=True, help="Seconds of each step.")
@click.option("--write", is_flag=True, help="Write the table into docs/capacity.md.")
def main(*, counts: tuple[int, ...], steps: tuple[int, ...], seconds: int, write: bool) -> None:
    """Measure; about five minutes. Exit status 1 if a request costs more CPU time with several workers."""
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        for workers in counts:
            with embedded(workers=workers, environment=UNLIMITED) as running:
                for users in steps:
                    results.append(step(running.url, workers, users, seconds, Path(folder)))
                    if not results[-1].kept:
                        break
    measured = table(results)
    click.echo(measured)
    if write:
        before, begin, rest = _DOCUMENT.read_text().partition(_BEGIN)
        _DOCUMENT.write_text(f"{before}{begin}\n{measured}\n{_END}{rest.partition(_END)[2]}")
    rounds.finish(ratios(results))


if __name__ == "__main__":
    main()
