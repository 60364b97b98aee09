"""Interleaved rounds, what they come to, and whether that is enough."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import wrk
from benchmarks.common import Server
from benchmarks.wrk import Load, Result

# The variable with the name of the file for the targets.
RESULTS_VARIABLE: Final = "BENCHMARK_RESULTS"
REACHED: Final = "[green]reached[/green]"
MISSED: Final = "[red]missed[/red]"
# Into a file as wide as the tables are.
console: Final = Console(width=None if sys.stdout.isatty() else 132)


@dataclass(frozen=True, slots=True)
class Case:
    """A load from a number of clients at once; `at_least` is the ratio to reach, if there is one."""

    title: str
    load: Load
    connections: int
    at_least: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one case against one server."""

    result: Result
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Compared:
    """All rounds of one case."""

    case: Case
    ours: list[Sample]
    bare: list[Sample]

    @property
    def ratio(self) -> float:
        """Our requests a second to the bare handlers', the median of the rounds' own ratios."""
        pairs = zip(self.ours, self.bare, strict=True)
        return median(ours.result.per_second / bare.result.per_second for ours, bare in pairs)


@dataclass(frozen=True, slots=True)
class Target:
    """What was to be reached and what was."""

    title: str
    value: float
    limit: float
    unit: str = ""
    at_most: bool = True

    @property
    def met(self) -> bool:
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    @property
    def shown_value(self) -> str:
        return f"{self.value:.2f}{self.unit}"

    @property
    def shown_limit(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.limit:g}{self.unit}"

    @property
    def verdict(self) -> str:
        return REACHED if self.met else MISSED


def measured(server: Server, load: Load, *, connections: int, seconds: float) -> Sample:
    """One round."""
    before = server.cpu_seconds()
    result = wrk.run(server.url, load, connections=connections, seconds=seconds)
    used = server.cpu_seconds() - before
    server.settle()
    return Sample(result, used / result.requests * 1e6)


def compared(cases: Iterable[Case], ours: Server, bare: Server, *, rounds: int, seconds: float) -> list[Compared]:
    """Each case against both servers in turn, that many times; a short round before does not count."""
    found = [Compared(case, [], []) for case in cases]
    for number in track(range(rounds + 1), "rounds", console=console, transient=True):
        for each in found:
            for server, samples in ((ours, each.ours), (bare, each.bare)):
                sample = measured(
                    server, each.case.load, connections=each.case.connections, seconds=seconds if number else 1
                )
                if number:
                    samples.append(sample)
    return found


def comparison(title: str, results: Iterable[Compared]) -> Table:
    """The table of a comparison: medians of the rounds."""
    table = Table(title=title)
    table.add_column("request")
    columns = (
        "clients",
        "ours/s",
        "bare/s",
        "ratio",
        "CPU us",
        "bare",
        "p50 ms",
        "bare",
        "p99 ms",
    )
    for column in columns:
        table.add_column(column, justify="right")
    for each in results:
        table.add_row(
            each.case.title,
            str(each.case.connections),
            f"{_median(each.ours, _per_second):,.0f}",
            f"{_median(each.bare, _per_second):,.0f}",
            f"{each.ratio:.2f}",
            f"{_median(each.ours, _cpu):,.0f}",
            f"{_median(each.bare, _cpu):,.0f}",
            f"{_median(each.ours, _p50):.2f}",
            f"{_median(each.bare, _p50):.2f}",
            f"{_median(each.ours, _p99):.2f}",
        )
    return table


def targets_of(results: Iterable[Compared]) -> list[Target]:
    """The ratios that were to be reached."""
    return [
        Target(f"{each.case.title}, {each.case.connections} clients", each.ratio, each.case.at_least, at_most=False)
        for each in results
        if each.case.at_least is not None
    ]


def finish(targets: Iterable[Target]) -> None:
    """Print what was reached of what was to be reached, and end the program: with 1 when something was not.

    `python -m benchmarks` names a file, to which the targets are written as lines of JSON.
    """
    targets = list(targets)
    if results := os.environ.get(RESULTS_VARIABLE):
        lines = "".join(f"{json.dumps(asdict(target))}\n" for target in targets)
        Path(results).write_text(lines, encoding="utf-8")
    table = Table("target", "is", "should be", "", title="Targets")
    for target in targets:
        table.add_row(target.title, target.shown_value, target.shown_limit, target.verdict)
    console.print(table)
    sys.exit(0 if all(target.met for target in targets) else 1)


def _median(samples: list[Sample], figure: Callable[[Sample], float]) -> float:
    return median(map(figure, samples))


def _per_second(sample: Sample) -> float:
    return sample.result.per_second


def _cpu(sample: Sample) -> float:
    return sample.cpu_us


def _p50(sample: Sample) -> float:
    return sample.result.p50


def _p99(sample: Sample) -> float:
    return sample.result.p99
