"""How soon `serve` answers, what it uses at rest, and what its processes hold in memory after requests of all kinds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import median
from threading import local

import click
import requests
from rich.table import Table

from benchmarks import payloads, rounds
from benchmarks.common import Server, Surroundings, surroundings
from benchmarks.processes import Memory, children, cpu_seconds
from benchmarks.rounds import Target
from benchmarks.throughput import BUILDER, COMPOSE, PAGE, READER, VERSION

# Seconds until everything that requests have caused is over, idle threads included; seconds of the measurement then.
_SETTLE = 30.0
_REST = 25.0
_UNKNOWN = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Step:
    """A request of the mixture, and the status it must be answered with."""

    method: str
    path: str
    status: int = 200
    headers: tuple[tuple[str, str], ...] = tuple(BUILDER.items())
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Growth:
    """What the worker held when so many requests had been answered."""

    requests: int
    mib: float
    threads: int


def mixture(build: str) -> list[Step]:
    """Reads, builds, looks at the build with this id, and refusals of each kind."""
    reader = tuple(READER.items())
    version, page = Step("GET", VERSION.path, headers=reader), Step("GET", PAGE.path, headers=reader)
    post = Step("POST", COMPOSE.path, 201, body=COMPOSE.body)
    status = Step("GET", f"{payloads.BASE}/composes/{build}")
    refusals = [
        Step("GET", f"{payloads.BASE}/composes/{_UNKNOWN}", 404),
        Step("GET", f"{payloads.BASE}/composes/none", 400),
        Step("GET", f"{payloads.BASE}/nothing", 404),
        Step("GET", PAGE.path, 401, headers=()),
        Step("POST", COMPOSE.path, 400, body=b'{"distribution": "centos-9", "image_requests": []}'),
        Step("POST", COMPOSE.path, 400, body=b"{"),
        Step("DELETE", COMPOSE.path, 405),
    ]
    ordinary = [version, page, post, status, version, page, post, status, version]
    return [step for refusal, read in zip(refusals, _reads(), strict=True) for step in (*ordinary, read, refusal)]


def _reads() -> list[Step]:
    """Requests of other operations, one for each refusal."""
    paths = (
        *("/distributions", "/architectures/centos-9", "/oscap/rhel-9/profiles", "/features", "/blueprints"),
        *("/packages?distribution=centos-9&architecture=x86_64&search=ssh", "/openapi.json"),
    )
    return [Step("GET", f"{payloads.BASE}{path}") for path in paths]


class Clients:
    """Many clients at once, each with a connection of its own."""

    def __init__(self, url: str, count: int) -> None:
        self._url = url
        self._threads = ThreadPoolExecutor(count)
        self._own = local()

    def send(self, steps: Iterator[Step]) -> None:
        """Send these requests. Raises RuntimeError for an answer that is not the right one."""
        for _ in self._threads.map(self._send, steps):
            pass

    def _send(self, step: Step) -> None:
        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
            self._own.session.trust_env = False
        headers = {**dict(step.headers), **({"Content-Type": "application/json"} if step.body else {})}
        answer = self._own.session.request(
            step.method, self._url + step.path, headers=headers, data=step.body, timeout=30
        )
        if answer.status_code != step.status:
            raise RuntimeError(f"{step.method} {step.path}: {answer.status_code} {answer.text[:200]}")


def starts(where: Surroundings, count: int) -> list[float]:
    """Seconds from the start of `serve` to the first answer to a GET, and to a page out of the database."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        server = where.ours().launch()
        try:
            server.wait_until_it_answers(PAGE.path, PAGE.headers)
            found.append(time.perf_counter() - began)
        finally:
            server.stop()
    return found


def grown(server: Server, total: int, clients: int, parts: int = 10) -> list[Growth]:
    """What the worker holds as so many requests of the mixture are answered, in that many equal parts."""
    answer = requests.post(
        server.url + COMPOSE.path,
        data=COMPOSE.body,
        headers={**BUILDER, "Content-Type": "application/json"},
        timeout=10,
    )
    steps = cycle(mixture(answer.json()["id"]))
    many = Clients(server.url, clients)
    found = [Growth(0, server.resident_mib(), server.threads())]
    for part in range(1, parts + 1):
        many.send(islice(steps, total // parts))
        time.sleep(0.5)
        found.append(Growth(total * part // parts, server.resident_mib(), server.threads()))
    return found


def at_rest(server: Server) -> float:
    """The part of a core, in per cent, that the server uses while nothing happens."""
    time.sleep(_SETTLE)  # the status watcher looks at the seeded builds once, which the composer does not know
    before = server.cpu_seconds()
    time.sleep(_REST)
    return (server.cpu_seconds() - before) / _REST * 100


def threads_at_rest(server: Server) -> int:
    """The number of threads some time after the last request."""
    time.sleep(_SETTLE)
    return server.threads()


def further_worker(where: Surroundings, total: int, clients: int) -> tuple[list[Memory], float]:
    """What each of two workers holds after the requests, and the milliseconds of CPU time of a request."""
    with where.workers(2) as server:
        workers = list(children(server.process.pid))
        before = sum(map(cpu_seconds, workers))
        grown(server, total, clients, parts=1)
        spent = sum(map(cpu_seconds, workers)) - before
        return [Memory.of(worker) for worker in workers], spent / total * 1000


@click.command()
@click.option("--starts", "count", default=5, show_default=True, help="How often it is started.")
@click.option("--requests", "total", default=10_000, show_default=True, help="How many requests it gets.")
@click.option("--clients", default=60, show_default=True, help="How many at once.")
def main(*, count: int, total: int, clients: int) -> None:
    """Exit status 1 unless a start, the memory and the rest are within the targets (benchmarks/README.md)."""
    with surroundings() as where:
        seconds = starts(where, count)
        with where.ours() as server:
            idle = at_rest(server)
            began = server.cpu_seconds()
            memory = grown(server, total, clients)
            single_ms = (server.cpu_seconds() - began) / total * 1000
            threads = threads_at_rest(server)
        workers, double_ms = further_worker(where, total, clients)
    table = Table("requests answered", "resident MiB", "threads", title="One worker's memory")
    for each in memory:
        table.add_row(f"{each.requests:,}", f"{each.mib:.1f}", str(each.threads))
    rounds.console.print(table)
    rounds.console.print("seconds until it answers:", ", ".join(f"{each:.2f}" for each in sorted(seconds)))
    rounds.console.print(
        "two workers hold, MiB:",
        "; ".join(f"USS {each.own:.1f}, PSS {each.shared_out:.1f}, RSS {each.resident:.1f}" for each in workers),
    )
    rounds.console.print(f"CPU time of a request: {single_ms:.2f} ms, with two workers {double_ms:.2f} ms")
    half, end = memory[len(memory) // 2], memory[-1]
    rounds.finish(
        [
            Target("answers after (median)", median(seconds), 3, " s"),
            Target("CPU at rest", idle, 0.5, " % of a core"),
            Target("threads at rest after the requests", threads, 20),
            Target(f"one worker, RSS after {total:,} requests", end.mib, 130, " MiB"),
            Target("growth over the last half", end.mib - half.mib, 3, " MiB"),
            Target("a further worker, USS", max(each.own for each in workers), 60, " MiB"),
            Target("CPU per request, two workers to one", double_ms / single_ms, 1.15),
        ]
    )


if __name__ == "__main__":
    main()
