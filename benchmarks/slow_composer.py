"""50 clients wait for a composer that takes a second: do the others notice?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import click
from rich.progress import track
from rich.table import Table

from adapters.embedded.composer.process import StandInComposer
from benchmarks import rounds, wrk
from benchmarks.common import Server, surroundings
from benchmarks.rounds import Sample, Target
from benchmarks.throughput import COMPOSE, PAGE, VERSION

_LOADS = {"GET /version": VERSION, "GET /composes": PAGE}
_QUIET, _WAITING = "nobody waits", "50 clients wait"


@contextmanager
def waiting(server: Server, composer: StandInComposer, clients: int, seconds: float) -> Iterator[None]:
    """That many clients wait for a composer that takes a second, again and again."""
    composer.steer(post_latency=1.0)
    before = _asked(composer)
    with wrk.started(server.url, COMPOSE, connections=clients, seconds=seconds) as process:
        while _asked(composer) < before + clients:
            if process.poll() is not None:
                raise RuntimeError("the clients that should wait do not")
            time.sleep(0.05)
        before, began = _asked(composer), time.monotonic()
        yield
        # Each client asks the composer about once a second, or waits for its organization's share of the threads; a
        # client that is turned away would not ask at all.
        expected = 0.5 * clients * (time.monotonic() - began)
        if process.poll() is not None or _asked(composer) - before < expected:
            raise RuntimeError("the clients that should wait did not")
    time.sleep(1.5)  # what the clients left behind


def _asked(composer: StandInComposer) -> int:
    return composer.counters().get("POST /compose", 0)


def table(samples: dict[tuple[str, str], list[Sample]], count: int) -> Table:
    """The latencies: medians of the rounds."""
    found = Table(title=f"One client's latency in ms, composer 1 s: medians of {count} rounds")
    for column in ("request", "meanwhile", "p50", "p99"):
        found.add_column(column, justify="left" if column in {"request", "meanwhile"} else "right")
    for (title, meanwhile), taken in samples.items():
        p50 = median(sample.result.p50 for sample in taken)
        p99 = median(sample.result.p99 for sample in taken)
        found.add_row(title, meanwhile, f"{p50:.2f}", f"{p99:.2f}")
    return found


@click.command()
@click.option("--rounds", "count", default=5, show_default=True, help="Rounds that count.")
@click.option("--seconds", default=4, show_default=True, help="Seconds of each measurement.")
@click.option("--clients", default=50, show_default=True, help="Clients that wait.")
def main(*, count: int, seconds: int, clients: int) -> None:
    """Exit status 1 unless a trivial GET and a page of composes stay under 20 ms at the median."""
    wrk.need()
    samples: dict[tuple[str, str], list[Sample]] = {
        (title, meanwhile): [] for title in _LOADS for meanwhile in (_QUIET, _WAITING)
    }
    with surroundings() as where, where.ours() as ours:

        def measure(meanwhile: str) -> None:
            for title, load in _LOADS.items():
                samples[title, meanwhile].append(rounds.measured(ours, load, connections=1, seconds=seconds))

        for _ in track(range(count), "rounds", console=rounds.console, transient=True):
            measure(_QUIET)
            with waiting(ours, where.composer, clients, seconds=3 * seconds * len(_LOADS) + 10):
                measure(_WAITING)
    rounds.console.print(table(samples, count))
    rounds.finish(
        Target(f"{title} while {clients} clients wait", median(sample.result.p50 for sample in taken), 20, " ms")
        for (title, meanwhile), taken in samples.items()
        if meanwhile == _WAITING
    )


if __name__ == "__main__":
    main()
