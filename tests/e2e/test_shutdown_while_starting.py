"""SIGTERM at any moment of the start of `serve --embedded` ends it and all its child processes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.folders import open_folder
from tests.support.ports import free_port
from tests.support.processes import command_of, running
from tests.support.rounds import sampled
from tests.support.service import PROJECT
from tests.support.waiting import PATIENCE

SEEDED = random.Random(8)  # noqa: S311 - nothing secret
# Seconds since the process was started, while it imports what it needs; then since its first line, until it serves.
IMPORTING = [round(SEEDED.uniform(0, 1), 3) for _ in range(3)]
STARTING = [round(SEEDED.uniform(0, 3), 3) for _ in range(9)]


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """The data folder of all starts; the first start creates it, and may not complete."""
    with open_folder() as folder:
        yield folder / "data"


def started(data: Path, workers: int) -> subprocess.Popen[bytes]:
    port = free_port()
    return subprocess.Popen(
        [sys.executable, "-m", "image_builder", "serve", "--embedded", f"--data={data}", f"--workers={workers}"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT),
            "PYTHONUNBUFFERED": "1",
            "LISTEN_ADDRESS": f"127.0.0.1:{port}",
        },
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def left(data: Path) -> list[str]:
    return [command for process in running(str(data)) if (command := command_of(process))]


def ends(process: subprocess.Popen[bytes], data: Path) -> int:
    """The exit status after SIGTERM; no process may remain."""
    process.terminate()
    try:
        status = process.wait(PATIENCE)
    finally:
        process.kill()
        assert process.stdout
        process.stdout.close()
    deadline = time.monotonic() + PATIENCE
    while left(data) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left(data) == []
    return status


@pytest.mark.parametrize("moment", sampled(IMPORTING, 1))
def test_a_signal_before_the_first_line_ends_the_start(data: Path, moment: float) -> None:
    process = started(data, 1)
    time.sleep(moment)
    # Before anything of ours runs, it is the signal that ends it.
    assert ends(process, data) in {0, -signal.SIGTERM, 128 + signal.SIGTERM}


@pytest.mark.parametrize(("moment", "workers"), sampled(zip(STARTING, [1, 1, 2] * 3, strict=True), 3))
def test_a_signal_after_the_first_line_ends_the_start_gracefully(data: Path, moment: float, workers: int) -> None:
    process = started(data, workers)
    assert process.stdout
    assert process.stdout.readline().startswith(b"Starting PostgreSQL")
    time.sleep(moment)
    assert ends(process, data) == 0
