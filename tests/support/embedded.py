"""`image-builder serve --embedded` as a process, and the values that it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.support.folders import open_folder
from tests.support.ports import free_port
from tests.support.service import PROJECT
from tests.support.waiting import PATIENCE


@dataclass(frozen=True, slots=True)
class Embedded:
    """The running service: the URL of its page, the identity that it prints, and its process.

    `data` is its data folder, `said` its output during the start.
    """

    docs: str
    identity: str
    process: int
    data: Path
    said: str

    @property
    def url(self) -> str:
        """The URL of the service without a path."""
        return re.sub(r"(?<=\d)/.*", "", self.docs)


@contextmanager
def embedded(*, workers: int = 1, environment: Mapping[str, str] | None = None) -> Iterator[Embedded]:
    """Run `serve --embedded` on a free port with a new data folder, and with unnecessary environment variables."""
    port = free_port()
    with open_folder() as folder:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "image_builder",
                "serve",
                "--embedded",
                "--data",
                f"{folder}/data",
                f"--workers={workers}",
            ],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(PROJECT),
                "PYTHONUNBUFFERED": "1",
                "LISTEN_ADDRESS": f"127.0.0.1:{port}",
                "LOG_LEVEL": "ERROR",
                **(environment or {}),
            },
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            running = _announced(process, folder / "data")
            _wait_until_ready(running.url)
            yield running
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


def _announced(process: subprocess.Popen[str], data: Path) -> Embedded:
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("Ctrl-C"):
            break
    text = "".join(said)
    docs = re.search(r"API docs +(\S+)", text)
    identity = re.search(r"export I=(\S+)", text)
    assert docs, text
    assert identity, text
    return Embedded(docs[1], identity[1], process.pid, data, text)


def _wait_until_ready(url: str) -> None:
    """Return when the service answers; several workers are announced before they do."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(requests.RequestException):
            if requests.get(f"{url}/ready", timeout=PATIENCE).ok:
                return
        assert time.monotonic() < deadline, "the embedded default does not get ready"
        time.sleep(0.1)
