"""`python -m benchmarks`: all benchmarks one after another within 20 minutes, and one table of all their targets.

Some measure less than they do by default, so that all fit into the time: fewer rounds, fewer rows, shorter attacks.
Each has a time limit; one that exceeds it is stopped and counts as missed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from rich.table import Table

from benchmarks import rounds
from benchmarks.rounds import RESULTS_VARIABLE, Target
from tests.support.service import PROJECT

# Seconds for a benchmark that is stopped to end its servers.
_STOP_TIMEOUT: Final = 15.0


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A module of this package with its arguments, and the seconds after which it is stopped."""

    name: str
    limit: float
    arguments: tuple[str, ...] = ()


# The limits add up to less than 20 minutes, with half a minute for benchmarks that have to be stopped.
ALL: Final = (
    Benchmark("throughput", 170, ("--rounds=2",)),
    Benchmark("compose_latency", 80, ("--rounds=2",)),
    Benchmark("slow_composer", 90, ("--rounds=3",)),
    Benchmark("lookups", 45),
    Benchmark("start_and_memory", 205, ("--starts=2",)),
    Benchmark("package_search", 100, ("--starts=2",)),
    Benchmark("lists", 210, ("--composes=300000", "--versions=30000", "--times=11")),
    Benchmark("counts", 50, ("--builds=300000",)),
    Benchmark("maintenance", 75, ("30000", "--quiet=10")),
    Benchmark("hostile", 140, ("--seconds=3", "--sample=11")),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a benchmark ended: its exit status (None: it was stopped), its targets, and the seconds that it took."""

    benchmark: Benchmark
    status: int | None
    targets: list[Target]
    seconds: float

    @property
    def succeeded(self) -> bool:
        return self.status == 0 and all(target.met for target in self.targets)

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """The benchmark's rows of the summary: name, measured, target, verdict."""
        for target in self.targets:
            yield target.title, target.shown_value, target.shown_limit, target.verdict
        if self.status is None:
            yield "end", "stopped", f"<= {self.benchmark.limit:g} s", rounds.MISSED
        elif self.status and all(target.met for target in self.targets):
            yield "end", f"exit status {self.status}", "0", rounds.MISSED


def run(benchmark: Benchmark, results: Path) -> Outcome:
    """Run a benchmark, whose output is shown as it comes."""
    rounds.console.rule(f"{benchmark.name} {' '.join(benchmark.arguments)}")
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{benchmark.name}", *benchmark.arguments],
        cwd=PROJECT,
        env={**os.environ, RESULTS_VARIABLE: str(results)},
    )
    try:
        status: int | None = process.wait(benchmark.limit)
    except subprocess.TimeoutExpired:
        status = None
    finally:
        _stop(process)
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    return Outcome(benchmark, status, [Target(**json.loads(line)) for line in lines], time.monotonic() - began)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Interrupt the process if it runs, so that it ends its servers, and kill it if it does not end."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def summary(outcomes: list[Outcome]) -> Table:
    """The table of all targets."""
    total = sum(outcome.seconds for outcome in outcomes)
    table = Table("benchmark", "name", "measured", "target", "ok", title=f"All benchmarks, {total / 60:.1f} minutes")
    for outcome in outcomes:
        title = f"{outcome.benchmark.name}\n{outcome.seconds:.0f} s"
        for number, row in enumerate(outcome.rows()):
            table.add_row("" if number else title, *row)
        table.add_section()
    return table


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([benchmark.name for benchmark in ALL]))
def main(*, names: tuple[str, ...]) -> None:
    """Run all benchmarks, or those with these NAMES. Exit status 1 if one misses a target, fails or is stopped."""
    chosen = [benchmark for benchmark in ALL if not names or benchmark.name in names]
    with tempfile.TemporaryDirectory(prefix="image-builder-benchmark-") as folder:
        outcomes = [run(benchmark, Path(folder) / benchmark.name) for benchmark in chosen]
    rounds.console.print(summary(outcomes))
    sys.exit(0 if all(outcome.succeeded for outcome in outcomes) else 1)


if __name__ == "__main__":
    main()
