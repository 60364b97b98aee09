"""What attacks cost: the service's peak memory in 256 MiB, and how long a neighbour waits meanwhile."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles
from typing import Final

import click
from rich.table import Table

from adapters.embedded.composer.process import StandInComposer
from adapters.postgres.migrate import migrate
from benchmarks import rounds
from benchmarks.rounds import Target as Goal
from tests.support import cgroups, databases
from tests.support.attacks import ATTACKS, MIB, Attack, Neighbour, Target, attacked, neighbour_until
from tests.support.service import Service

_LIMIT: Final = 256 * MIB
# Seconds and times as long as without an attack.
_STATUS, _COMPOSES, _RATIO = 0.25, 1.0, 5.0
_RATES: Final = {"RATE_LIMIT_READS": "6000", "RATE_LIMIT_WRITES": "600", "RATE_LIMIT_BUILDS": "300"}


def percentile_95(times: Sequence[float]) -> float:
    """In seconds; the longest where there are few."""
    return quantiles(times, n=20)[-1] if len(times) > 1 else max(times, default=0.0)


def reset_peak(process: int) -> None:
    """Let the kernel note the process' peak memory anew."""
    Path(f"/proc/{process}/clear_refs").write_text("5")


@click.command()
@click.option("--seconds", default=8.0, show_default=True, help="Seconds of each attack, and of the time before it.")
@click.option("--only", default="", help="Only attacks whose name holds this text.")
@click.option("--skip", default="", help="No attack whose name holds this text.")
@click.option("--sample", type=click.IntRange(1), help="So many attacks, chosen at random; all if not given.")
def main(*, seconds: float, only: str, skip: str, sample: int | None) -> None:
    """Exit status 1 where an attack kills the service, exceeds 256 MiB, or keeps the neighbour waiting for too long.

    Too long: more than 5 times as long as before the attack, and more than 250 ms for /status or 1 s for the list, at
    the 95th percentile.
    """
    found = Table(title=f"Attacks of {seconds:g} s on one worker in 256 MiB; the neighbour's 95th percentile in ms")
    for column in ("attack", "peak MiB", "after", "/status", "alone", "list", "alone", "answers"):
        found.add_column(column, justify="left" if column == "attack" else "right")
    goals: list[Goal] = []
    with ExitStack() as stack:
        database = stack.enter_context(databases.database(stack.enter_context(databases.server())))
        migrate(database)
        composer = stack.enter_context(StandInComposer(seconds=1.0))
        group = stack.enter_context(cgroups.memory_limit(_LIMIT))
        service = stack.enter_context(Service(database, composer.url, environment=_RATES, cgroup=group))
        attacks = [each for each in ATTACKS if only in each.name and (not skip or skip not in each.name)]
        for attack in random.sample(attacks, min(sample or len(attacks), len(attacks))):
            alone = neighbour_until(service.url, time.monotonic() + seconds / 2)
            _measure(attack, service, database, seconds, alone, found, goals)
    rounds.console.print(found)
    rounds.finish(goals)


def _measure(
    attack: Attack,
    service: Service,
    database: databases.Parameters,
    seconds: float,
    alone: Neighbour,
    found: Table,
    goals: list[Goal],
) -> None:
    process = service.process
    assert process is not None
    reset_peak(process.pid)
    target, neighbour = attacked(attack, service.url, database, seconds)
    if process.poll() is not None:
        raise SystemExit(f"{attack.name}: the service was killed")
    peak = cgroups.peak_of(process.pid) / MIB
    status, status_alone = percentile_95(neighbour.status), percentile_95(alone.status)
    composes, composes_alone = percentile_95(neighbour.composes), percentile_95(alone.composes)
    found.add_row(
        attack.name,
        f"{peak:.0f}",
        f"{cgroups.resident_of(process.pid) / MIB:.0f}",
        *(f"{1000 * value:.0f}" for value in (status, status_alone, composes, composes_alone)),
        _told(target, neighbour),
    )
    rounds.console.print(f"{attack.name}: {peak:.0f} MiB, {1000 * status:.0f} ms, {1000 * composes:.0f} ms")
    goals.append(Goal(f"{attack.name}: peak memory", peak, 256, " MiB"))
    goals.append(Goal(f"{attack.name}: /status", status, max(_STATUS, _RATIO * status_alone), " s"))
    goals.append(Goal(f"{attack.name}: list", composes, max(_COMPOSES, _RATIO * composes_alone), " s"))


def _told(target: Target, neighbour: Neighbour) -> str:
    told = ", ".join(f"{count}x{status}" for status, count in sorted(Counter(map(str, target.answers)).items()))
    return f"{told}; neighbour failed {len(neighbour.failures)}" if neighbour.failures else told


if __name__ == "__main__":
    main()
