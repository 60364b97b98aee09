"""120 package lists: when `serve` answers, what each worker holds of them, how long a search and a suggestion take."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from itertools import product
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Final

import click
from rich.table import Table

from adapters.files.distributions import load_distributions
from adapters.files.package_lists import FilePackageLists, index_package_lists
from benchmarks import package_directory, rounds
from benchmarks.common import Server, Surroundings, surroundings
from benchmarks.processes import Memory, children
from benchmarks.rounds import Target
from benchmarks.throughput import PAGE
from domain.distributions import Distribution
from domain.paging import Page
from domain.similar_names import NameIndex
from image_builder import app
from tests.support.misspelt_packages import list_existing_names, list_misspellings

_TEXTS: Final = ("", "a", "lib", "-devel", "python3-", "ssh", "nothing-of-this-name")
_PAGES: Final = (Page(100, 0), Page(100, 5_000))
_SEARCHED: Final = "searched"


def starts(where: Surroundings, directory: Path | None, workers: int, count: int) -> tuple[list[float], Memory]:
    """Seconds from the start of `serve` to its first page out of the database, and what its largest worker holds."""
    seconds, held = [], []
    for _ in range(count):
        environment = {**where.environment(), **({"DISTRIBUTIONS_DIR": str(directory)} if directory else {})}
        server = Server("ours", ("-m", "image_builder", "serve", "--workers", str(workers)), environment)
        began = time.perf_counter()
        server.launch()
        try:
            server.wait_until_it_answers(PAGE.path, PAGE.headers)
            seconds.append(time.perf_counter() - began)
            time.sleep(1)  # for the other workers
            held.append(max((Memory.of(each) for each in children(server.process.pid)), key=lambda each: each.own))
        finally:
            server.stop()
    return seconds, sorted(held, key=lambda each: each.own)[len(held) // 2]


def searches(lists: FilePackageLists, distributions: dict[str, Distribution]) -> dict[str, list[float]]:
    """Seconds of each search in every list, by text."""
    found: dict[str, list[float]] = {text: [] for text in _TEXTS}
    for distribution in distributions.values():
        for architecture, text, page in product(distribution.architectures, _TEXTS, _PAGES):
            began = time.perf_counter()
            answer = lists.search(distribution, architecture, text, page)
            if answer is not None:
                found[text].append(time.perf_counter() - began)
    return found


def suggestions() -> tuple[list[float], list[float]]:
    """Seconds of each suggestion for 200 misspellings among 8,000 names: ours, and of `difflib` (every tenth)."""
    names = list_existing_names()
    index = NameIndex(names)
    misspelt = [each for each, _ in list_misspellings()]
    return (
        [_seconds(partial(index.closest, name)) for name in misspelt],
        [_seconds(partial(get_close_matches, name, names)) for name in misspelt[::10]],
    )


def _seconds(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began


def held(lists: FilePackageLists, directory: Path, workers: int) -> list[tuple[Memory, Memory]]:
    """What some processes hold before and after searches in all lists, once all have searched.

    They are spawned as the service's workers are.
    """
    context = get_context("spawn")
    lines = [context.Pipe() for _ in range(workers)]
    processes = [context.Process(target=_search_all, args=(lists, directory, line[1])) for line in lines]
    for process in processes:
        process.start()
    before: list[Memory] = [here.recv() for here, _ in lines]
    for here, _ in lines:
        here.send(_SEARCHED)
        here.recv()
    after = [Memory.of(process.pid or 0) for process in processes]
    for (here, _), process in zip(lines, processes, strict=True):
        here.send("end")
        process.join()
    return list(zip(before, after, strict=True))


def _search_all(lists: FilePackageLists, directory: Path, line: Connection) -> None:
    assert app  # the worker's modules are loaded before anything is measured
    distributions = load_distributions(directory)
    line.send(Memory.of(os.getpid()))
    line.recv()
    searches(lists, distributions)
    line.send(_SEARCHED)
    line.recv()


@click.command()
@click.option("--starts", "count", default=5, show_default=True, help="How often the service is started.")
@click.option("--workers", default=2, show_default=True, help="Worker processes.")
def main(*, count: int, workers: int) -> None:
    """Exit status 1 unless all targets are met.

    It answers within 3 s, a search within 2 ms, a suggestion within 5 ms; further workers take less than 40 MiB.
    """
    with tempfile.TemporaryDirectory(prefix="image-builder-benchmark-", dir="/var/tmp") as folder:
        directory = package_directory.make(Path(folder) / "distributions")
        distributions = load_distributions(directory)
        began = time.perf_counter()
        lists = index_package_lists(directory, distributions)
        indexed = time.perf_counter() - began
        times = searches(lists, distributions)
        memory = held(lists, directory, workers)
        with surroundings(composes=1) as where:
            without, bare = starts(where, None, workers, count)
            seconds, full = starts(where, directory, workers, count)
    table = Table("text", "searches", "median ms", "99th percentile ms", title="Searches in all lists")
    for text, each in times.items():
        ordered = sorted(each)
        table.add_row(
            repr(text), str(len(each)), *(f"{t * 1000:.2f}" for t in (median(each), ordered[-len(each) // 100]))
        )
    rounds.console.print(table)
    ours, with_difflib = suggestions()
    rounds.console.print(
        f"a suggestion among 8,000 names: median {median(ours) * 1000:.2f} ms, maximum {max(ours) * 1000:.2f} ms;"
        f" with difflib {median(with_difflib) * 1000:.0f} ms ({median(with_difflib) / median(ours):.0f} times as long)"
    )
    rounds.console.print(f"indexed in {indexed:.2f} s; seconds until it answers: {_sorted(seconds)}")
    rounds.console.print(f"the same without lists: {_sorted(without)}")
    rounds.console.print(
        f"a worker of {workers} in all: {bare.own:.1f} MiB of its own (PSS {bare.shared_out:.1f}) without lists,"
        f" {full.own:.1f} (PSS {full.shared_out:.1f}) with them and before any search"
    )
    rounds.finish(
        [
            Target(f"answers after (median), {workers} workers", median(seconds), 3, " s"),
            Target("search (the slowest text's median)", max(map(median, times.values())) * 1000, 2, " ms"),
            Target("suggestion (maximum of 200)", max(ours) * 1000, 5, " ms"),
            Target(
                "a further worker, searched: own", max(after.own - before.own for before, after in memory), 40, " MiB"
            ),
            Target(
                "a further worker, searched: with its share",
                max(after.shared_out - before.shared_out for before, after in memory),
                40,
                " MiB",
            ),
        ]
    )


def _sorted(seconds: list[float]) -> str:
    return ", ".join(f"{each:.2f}" for each in sorted(seconds))


if __name__ == "__main__":
    main()
