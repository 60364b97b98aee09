"""A trivial GET, a page of 100 composes, a validated POST: requests a second, as ratios to bare Flask handlers."""

from __future__ import annotations

import click
import orjson
import requests

from benchmarks import payloads, rounds, wrk
from benchmarks.common import Server, both, surroundings
from benchmarks.rounds import Case
from benchmarks.wrk import Load

READER = payloads.identity(payloads.READER)
BUILDER = payloads.identity(payloads.BUILDER)

VERSION = Load(f"{payloads.BASE}/version", READER)
PAGE = Load(f"{payloads.BASE}/composes?limit=100", READER)
COMPOSE = Load(f"{payloads.BASE}/compose", BUILDER, orjson.dumps(payloads.compose_request()))


def cases(clients: int) -> list[Case]:
    """What is compared; with one client it is latency that counts, which has no target here."""
    single = [Case("GET /version", VERSION, 1), Case("GET /composes", PAGE, 1), Case("POST /compose", COMPOSE, 1)]
    return [
        Case("GET /version", VERSION, clients, at_least=0.4),
        Case("GET /composes", PAGE, clients, at_least=0.5),
        Case("POST /compose", COMPOSE, clients),
        *single,
    ]


def same_answers(ours: Server, bare: Server) -> None:
    """Raise RuntimeError unless both answer the reads alike: otherwise a ratio says nothing."""
    for load in (VERSION, PAGE):
        answers = [
            requests.get(server.url + load.path, headers=load.headers, timeout=10).json() for server in (ours, bare)
        ]
        for answer in answers:
            answer.get("links", {}).pop("next", None)  # a cursor, which the bare handlers do not make
        if answers[0] != answers[1]:
            raise RuntimeError(f"{load.path}: the answers differ:\n{answers[0]}\n{answers[1]}"[:2000])


@click.command()
@click.option("--rounds", "count", default=7, show_default=True, help="Rounds that count.")
@click.option("--seconds", default=4, show_default=True, help="Seconds of each round.")
@click.option("--clients", default=8, show_default=True, help="Connections at once.")
@click.option("--user-every", default=4, show_default=True, help="Every which row of the page has a user; 0: none.")
def main(*, count: int, seconds: int, clients: int, user_every: int) -> None:
    """Exit status 1 unless GET reaches 0.4 and the page 0.5 of the bare handlers."""
    wrk.need()
    with surroundings(user_every=user_every) as where, both(where) as (ours, bare):
        same_answers(ours, bare)
        results = rounds.compared(cases(clients), ours, bare, rounds=count, seconds=seconds)
    title = f"Throughput, one worker: medians of {count} rounds of {seconds} s; POST {len(COMPOSE.body or b'')} bytes"
    rounds.console.print(rounds.comparison(title, results))
    rounds.finish(rounds.targets_of(results))


if __name__ == "__main__":
    main()
