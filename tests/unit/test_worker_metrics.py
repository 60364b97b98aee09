"""Worker processes count each for itself, and each tells the sum, whatever becomes of the others."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import values

from domain.errors import ConfigurationError
from image_builder.telemetry.metrics import Metrics
from image_builder.telemetry.workers import Slot, shared_directory
from tests.support.metrics import Exposition

PROJECT = Path(__file__).parent.parent.parent
PATIENCE = 30.0
POOL = {"limit": 20, "size": 2, "in_use": 1, "waiting": 0}

# A worker that does as it is told, a line at a time, and says when it is done.
WORKER = f"""
import sys
from pathlib import Path
from image_builder.telemetry.metrics import Metrics
from image_builder.telemetry.workers import Slot
slot = Slot(Path(sys.argv[1]))
metrics = Metrics(["/compose"], slot)
metrics.pool({POOL})
print(slot.number, flush=True)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


class Worker:
    """A process with a slot."""

    def __init__(self, directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(directory)],
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

    def __init__(self, directory: Path, ends: ExitStack) -> None:
        self.directory = directory
        self._ends = ends

    def another(self) -> Worker:
        worker = Worker(self.directory)
        self._ends.callback(worker.is_killed)
        return worker

    def told(self, by: Slot) -> Exposition:
        return Exposition.of(Metrics(shared=by).exposition().decode())


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    with ExitStack() as ends:
        yield Workers(tmp_path, ends)


@pytest.fixture
def ours(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slot]:
    """The slot of this process, which counts nothing itself."""
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    slot = Slot(workers.directory)
    yield slot
    slot.close()


def test_any_worker_tells_the_sum_of_all(workers: Workers, ours: Slot) -> None:
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


def test_the_names_are_those_of_a_single_process(workers: Workers, ours: Slot) -> None:
    worker = workers.another()
    worker.serves()
    worker.does("metrics.starts_unmatched(0); metrics.starts_looked_after()")
    together = workers.told(ours)
    single = Metrics(["/compose"])
    single.observe("/compose", "POST", 200, 0.3)
    alone = Exposition.of(single.exposition().decode())
    assert set(together.samples) == set(alone.samples)
    types = [{line for line in each.text.splitlines() if line.startswith("# TYPE")} for each in (together, alone)]
    assert types[0] <= types[1]  # a single process tells the names of what has no sample yet, too


def test_workers_at_the_same_time_have_slots_of_their_own(workers: Workers, ours: Slot) -> None:
    assert sorted([ours.number, workers.another().slot, workers.another().slot]) == [0, 1, 2]


def test_what_a_killed_worker_counted_stays(workers: Workers, ours: Slot) -> None:
    worker = workers.another()
    worker.serves(3)
    worker.is_killed()
    assert workers.told(ours).value("request_count") == 3


def test_the_next_worker_counts_on_in_the_place_of_a_killed_one(workers: Workers, ours: Slot) -> None:
    for number in range(4):
        worker = workers.another()
        assert worker.slot == 1
        worker.serves(2)
        assert workers.told(ours).value("request_count") == 2 * (number + 1)
        worker.is_killed()
    assert len(list(workers.directory.glob("counter_*.db"))) == 2


def test_connections_of_a_killed_worker_are_none_any_more(workers: Workers, ours: Slot) -> None:
    one, _another = workers.another(), workers.another()
    assert workers.told(ours).value("database_pool_limit") == 2 * POOL["limit"]
    one.is_killed()
    assert workers.told(ours).value("database_pool_limit") == POOL["limit"]


def test_of_starts_cut_short_the_last_word_stands_also_of_a_killed_worker(workers: Workers, ours: Slot) -> None:
    first, last = workers.another(), workers.another()
    last.does("metrics.starts_unmatched(9)")
    first.does("metrics.starts_unmatched(5)")
    last.does("metrics.starts_unmatched(2)")
    last.is_killed()
    assert workers.told(ours).value("starts_unmatched") == 2


def test_no_counter_goes_back_while_workers_are_killed_and_replaced(workers: Workers, ours: Slot) -> None:
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
    assert sum(last.values()) > 0


# The directory


def test_the_directory_is_there_as_long_as_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with shared_directory(2) as directory:
        assert directory.parent == tmp_path
        assert directory.stat().st_mode & 0o777 == 0o700
        Worker(directory).is_killed()
    assert not list(tmp_path.iterdir())


def test_the_directory_of_a_killed_service_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    abandoned = a_killed_service(tmp_path)
    with shared_directory(2) as directory:
        assert list(tmp_path.iterdir()) == [directory]
    assert not abandoned.exists()


def test_the_directory_of_a_killed_service_stays_while_one_of_its_workers_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: Workers
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    workers.directory = a_killed_service(tmp_path)
    workers.another()
    with shared_directory(2):
        assert workers.directory.exists()


def test_the_directory_of_a_running_service_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with shared_directory(2) as one, shared_directory(2) as another:
        assert one != another
        assert one.exists()


def test_no_room_for_the_directory_is_an_operators_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(ConfigurationError, match="temporary directory"), shared_directory(2):
        pass


def test_a_full_file_system_is_found_at_the_start_and_kills_no_worker_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(ConfigurationError, match="No space left"), shared_directory(2):
        pass
    assert not list(tmp_path.iterdir())


def a_killed_service(tmp_path: Path) -> Path:
    """The directory that it left."""
    script = (
        "import os, signal\n"
        "from image_builder.telemetry.workers import shared_directory\n"
        "with shared_directory(2): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {"PYTHONPATH": str(PROJECT), "TMPDIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", script], env={**os.environ, **environment}, check=False)
    assert ended.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    return left
