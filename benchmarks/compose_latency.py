"""`POST /compose` with a composer that takes 50 ms: what we add for one client, and how many a second for 50."""

from __future__ import annotations

from statistics import median

import click
import orjson

from benchmarks import payloads, rounds, wrk
from benchmarks.common import both, surroundings
from benchmarks.rounds import Case, Target
from benchmarks.throughput import COMPOSE
from benchmarks.wrk import Load

_COMPOSER_MS = 50
_COMPOSER = Load("/api/image-builder-composer/v2/compose", body=orjson.dumps(payloads.composer_request()))


@click.command()
@click.option("--rounds", "count", default=7, show_default=True, help="Rounds that count.")
@click.option("--seconds", default=5, show_default=True, help="Seconds of each round.")
def main(*, count: int, seconds: int) -> None:
    """Exit status 1 unless one client waits at most 8 ms longer, and 50 get at least half of the bare rate."""
    wrk.need()
    cases = [Case("POST /compose", COMPOSE, 1), Case("POST /compose", COMPOSE, 50, at_least=0.5)]
    with surroundings() as where, both(where) as (ours, bare):
        where.composer.steer(post_latency=_COMPOSER_MS / 1000)
        alone = wrk.run(where.composer.url, _COMPOSER, connections=1, seconds=seconds)
        results = rounds.compared(cases, ours, bare, rounds=count, seconds=seconds)
    title = f"The composer takes {_COMPOSER_MS} ms (asked alone: {alone.p50:.1f} ms): medians of {count} rounds"
    rounds.console.print(rounds.comparison(title, results))
    added = median(sample.result.p50 for sample in results[0].ours) - _COMPOSER_MS
    rounds.finish([Target("POST /compose, 1 client: added", added, 8, " ms"), *rounds.targets_of(results)])


if __name__ == "__main__":
    main()
