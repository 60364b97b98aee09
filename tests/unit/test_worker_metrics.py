"""Worker processes count each for itself, and each tells the sum, whatever becomes of the others."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import values
from structlog.testing import capture_logs

from domain.errors import ConfigurationError
from domain.looks import UnfinishedBuilds
from image_builder.telemetry.metrics import Metrics
from image_builder.telemetry.workers import MetricsMemory, MetricsSlot
from tests.support.metrics import Exposition

PROJECT = Path(__file__).parent.parent.parent
POOL = {"limit": 20, "size": 2, "in_use": 1, "waiting": 0}

# A worker that does as it is told, a line at a time, and says when it is done.
WORKER = f"""
import sys
from datetime import timedelta
from domain.looks import UnfinishedBuilds
from image_builder.telemetry.metrics import Metrics
from image_builder.telemetry.workers import MetricsMemory, MetricsSlot
slot = MetricsSlot(MetricsMemory([int(file) for file in sys.argv[1:]]))
metrics = Metrics(["/compose"], slot)
metrics.set_pool_usage({POOL})
print(slot.number, flush=True)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


class Worker:
    """A process with a slot."""

    def __init__(self, memory: MetricsMemory) -> None:
        files = [int(path.rpartition("/")[2]) for path in memory.paths]
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *map(str, files)],
            pass_fds=files,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(PROJECT)},
        )
        self.slot = int(self._read())

    def does(self, statement: str) -> None:
        self.begins(statement)
        assert self._read() == "done"

    def begins(self, statement: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{statement}\n")
        self._process.stdin.flush()

    def serves(self, requests: int = 1, status: int = 200) -> None:
        self.does(f"for _ in range({requests}): metrics.observe('/compose', 'POST', {status}, 0.3)")

    def is_killed(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class Workers:
    """What a test may start."""

    def __init__(self, memory: MetricsMemory, ends: ExitStack) -> None:
        self.memory = memory
        self._ends = ends

    def another(self) -> Worker:
        worker = Worker(self.memory)
        self._ends.callback(worker.is_killed)
        return worker

    def told(self, by: MetricsSlot) -> Exposition:
        return Exposition.of(Metrics(shared=by).exposition().decode())


@pytest.fixture
def workers() -> Iterator[Workers]:
    with ExitStack() as ends:
        yield Workers(ends.enter_context(MetricsMemory.of(3)), ends)


@pytest.fixture
def ours(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> Iterator[MetricsSlot]:
    """The slot of this process, which counts nothing itself."""
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    slot = MetricsSlot(workers.memory)
    yield slot
    slot.close()


def test_any_worker_tells_the_sum_of_all(workers: Workers, ours: MetricsSlot) -> None:
    one, another = workers.another(), workers.another()
    one.serves(2)
    another.serves(3, status=503)
    exposition = workers.told(ours)
    assert exposition.value("request_count", code="200") == 2
    assert exposition.value("request_count") == 5
    assert exposition.value("compose_requests_total") == 5
    assert exposition.value("compose_errors") == 3
    assert exposition.value("http_duration_seconds_bucket", path="/compose", le="0.5") == 5
    assert exposition.value("http_duration_seconds_bucket", path="/compose", le="0.2") == 0
    assert exposition.value("http_duration_seconds_count", path="/compose") == 5


def test_the_names_are_those_of_a_single_process(workers: Workers, ours: MetricsSlot) -> None:
    worker = workers.another()
    worker.serves()
    worker.does("metrics.starts_unmatched(0); metrics.reconciliation_completed(); metrics.status_watch_completed()")
    worker.does("metrics.builds_unfinished(UnfinishedBuilds((0, 0, 0), timedelta(0)))")
    together = workers.told(ours)
    single = Metrics(["/compose"])
    single.observe("/compose", "POST", 200, 0.3)
    single.builds_unfinished(UnfinishedBuilds((0, 0, 0), timedelta(0)))
    alone = Exposition.of(single.exposition().decode())
    assert set(together.samples) == set(alone.samples)
    types = [{line for line in each.text.splitlines() if line.startswith("# TYPE")} for each in (together, alone)]
    assert types[0] <= types[1]  # a single process tells the names of what has no sample yet, too


def test_workers_at_the_same_time_have_slots_of_their_own(workers: Workers, ours: MetricsSlot) -> None:
    assert sorted([ours.number, workers.another().slot, workers.another().slot]) == [0, 1, 2]


def test_what_a_killed_worker_counted_stays(workers: Workers, ours: MetricsSlot) -> None:
    worker = workers.another()
    worker.serves(3)
    worker.is_killed()
    assert workers.told(ours).value("request_count") == 3


def test_the_next_worker_counts_on_in_the_place_of_a_killed_one(workers: Workers, ours: MetricsSlot) -> None:
    for number in range(4):
        worker = workers.another()
        assert worker.slot == 1
        worker.serves(2)
        assert workers.told(ours).value("request_count") == 2 * (number + 1)
        worker.is_killed()


def test_connections_of_a_killed_worker_are_none_any_more(workers: Workers, ours: MetricsSlot) -> None:
    one, _another = workers.another(), workers.another()
    assert workers.told(ours).value("database_pool_limit") == 2 * POOL["limit"]
    one.is_killed()
    assert workers.told(ours).value("database_pool_limit") == POOL["limit"]


def test_of_starts_cut_short_the_last_word_stands_also_of_a_killed_worker(workers: Workers, ours: MetricsSlot) -> None:
    first, last = workers.another(), workers.another()
    last.does("metrics.starts_unmatched(9)")
    first.does("metrics.starts_unmatched(5)")
    last.does("metrics.starts_unmatched(2)")
    last.is_killed()
    assert workers.told(ours).value("starts_unmatched") == 2


def test_no_counter_goes_back_while_workers_are_killed_and_replaced(workers: Workers, ours: MetricsSlot) -> None:
    last: dict[Any, float] = {}
    for _ in range(4):
        worker = workers.another()
        worker.begins("for n in range(10**9): metrics.observe(f'/{n % 300}/compose', 'POST', 200 + n % 400, 0.3)")
        ends, kills = time.monotonic() + 0.6, time.monotonic() + 0.3
        while time.monotonic() < ends:
            if time.monotonic() > kills:
                worker.is_killed()
            now = dict(workers.told(ours).samples)
            counters = {key: value for key, value in now.items() if "pool" not in key[0]}
            assert all(counters.get(key, 0.0) >= value for key, value in last.items() if key in counters or value)
            last = counters
        worker.is_killed()
    assert sum(last.values()) > 0


# The memory


def test_no_file_is_left_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with MetricsMemory.of(2) as memory, ExitStack() as ends:
        Workers(memory, ends).another().serves()
    assert not list(tmp_path.iterdir())


def test_memory_that_the_system_refuses_is_an_operators_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", refuse)
    with pytest.raises(ConfigurationError, match="Too many open files"):
        MetricsMemory.of(2)


def test_a_worker_for_which_no_slot_is_free_counts_and_reports_its_own(
    workers: Workers, ours: MetricsSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers.memory = MetricsMemory.of(1)
    workers.another().serves(2)
    with capture_logs() as lines:
        slot = MetricsSlot(workers.memory)
    metrics = Metrics(["/compose"], slot)
    metrics.observe("/compose", "POST", 200, 0.3)
    assert Exposition.of(metrics.exposition().decode()).value("request_count") == 3
    assert [line["log_level"] for line in lines] == ["warning"]
    slot.close()


def test_metrics_of_many_routes_have_room(workers: Workers, ours: MetricsSlot) -> None:
    worker = workers.another()
    worker.does("for n in range(3000): metrics.observe(f'/{n}/compose', 'POST', 200, 0.3)")
    assert workers.told(ours).value("request_count") == 3000
