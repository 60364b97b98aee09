"""What is measured: the service and the bare handlers, each a process, with a real PostgreSQL and a composer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import requests

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.postgres import EmbeddedPostgres
from adapters.postgres.migrate import migrate
from benchmarks import payloads
from benchmarks.processes import children, cpu_seconds
from image_builder.telemetry import logs
from tests.support.service import PROJECT

_PATIENCE: Final = 30.0
# Seconds between two looks at the CPU time of a server that should be idle.
_SETTLE: Final = 0.2
OURS: Final = ("-m", "image_builder", "serve", "--workers", "1")
_BARE: Final = ("-m", "benchmarks.bare")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A migrated database whose commits are on the disk when they return, and a composer that answers at once."""

    database: Mapping[str, Any]
    composer: StandInComposer

    def ours(self) -> Server:
        """The service, one worker, with the settings it has by default but for its rate limits."""
        return Server("ours", OURS, self.environment())

    def workers(self, number: int) -> Server:
        """The service with so many workers and their supervisor."""
        return Server("ours", (*OURS[:-1], str(number)), self.environment())

    def bare(self) -> Server:
        """The bare handlers of benchmarks/bare.py."""
        return Server("bare", _BARE, self.environment())

    def environment(self) -> dict[str, str]:
        """What tells a server of ours where all of this is."""
        return {
            "PGHOST": str(self.database["host"]),
            "PGPORT": str(self.database["port"]),
            "PGDATABASE": str(self.database["dbname"]),
            "PGUSER": str(self.database["user"]),
            "PGPASSWORD": str(self.database["password"]),
            "PGSSLMODE": "disable",
            "COMPOSER_URL": self.composer.url,
            **payloads.CLOUDS,
            # One tenant asks as fast as it can; its requests are counted as they always are.
            "RATE_LIMIT_READS": "1000000",
            "RATE_LIMIT_WRITES": "1000000",
            "RATE_LIMIT_BUILDS": "1000000",
        }


@contextmanager
def surroundings(*, composes: int = 120, user_every: int = 4) -> Iterator[Surroundings]:
    """What the servers need, gone at the end; READER has a history of that many builds."""
    logs.configure("WARNING")
    with tempfile.TemporaryDirectory(prefix="image-builder-benchmark-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        with (
            EmbeddedPostgres(Path(folder) / "data", max_connections=200) as postgres,
            StandInComposer(seconds=0) as composer,
        ):
            database = dict(postgres.connection_parameters())
            migrate(database)
            payloads.seed(database, composes=composes, user_every=user_every)
            yield Surroundings(database, composer)


@contextmanager
def both(where: Surroundings) -> Iterator[tuple[Server, Server]]:
    """The service and the bare handlers, both running; only the one that is asked works."""
    with ExitStack() as stack:
        yield stack.enter_context(where.ours()), stack.enter_context(where.bare())


class Server:
    """A server process; its standard output goes nowhere."""

    def __init__(
        self,
        name: str,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        project: Path = PROJECT,
        python: str = sys.executable,
    ) -> None:
        """`project` is the folder of the source tree that the process imports, `python` its interpreter."""
        self.name = name
        self._arguments = arguments
        self._environment = environment
        self._project = project
        self._python = python
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def launch(self) -> Self:
        """Start it on a free port, and do not wait."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{address}"
        self._process = subprocess.Popen(
            [self._python, *self._arguments],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(self._project),
                "LISTEN_ADDRESS": address,
                "SHUTDOWN_GRACE": "0",
                **self._environment,
            },
            cwd="/",
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def wait_until_it_answers(self, path: str, headers: Mapping[str, str], pause: float = 0.005) -> None:
        """Ask until there is a 200. Raises RuntimeError when the process ends, or has nothing to say for long."""
        deadline = time.monotonic() + _PATIENCE
        while not self._answers(path, headers):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not start")
            time.sleep(pause)

    def stop(self) -> None:
        """End it in its own way."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process. Raises RuntimeError before it is started."""
        if self._process is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._process

    def cpu_seconds(self) -> float:
        """User and system time of the process and its child processes so far."""
        return sum(map(cpu_seconds, [self.process.pid, *children(self.process.pid)]))

    def settle(self) -> None:
        """Wait until it uses nearly no CPU time: requests that a load generator has cut off run on for a while."""
        deadline = time.monotonic() + _PATIENCE
        before = self.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(_SETTLE)
            now = self.cpu_seconds()
            if now - before <= _SETTLE / 10:
                return
            before = now

    def resident_mib(self) -> float:
        """What it holds in memory."""
        return self._status("VmRSS") / 1024

    def threads(self) -> int:
        """How many threads it has."""
        return self._status("Threads")

    def _status(self, name: str) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

    def __enter__(self) -> Self:
        self.launch()
        try:
            self.wait_until_it_answers(f"{payloads.BASE}/composes", payloads.identity(payloads.READER))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def _answers(self, path: str, headers: Mapping[str, str]) -> bool:
        try:
            return requests.get(self.url + path, headers=headers, timeout=5).status_code == 200
        except requests.RequestException:
            return False
