"""The running service as a separate process, and a client of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import psycopg
import requests

from tests.support import osbuild_reader, output
from tests.support.builders import identity
from tests.support.launcher import Process, launch
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE, STRETCH

PROJECT = Path(__file__).parent.parent.parent
BASE = "/api/image-builder/v1"
_NO_DATABASE = "The database is not available"


class Service:
    """`image-builder serve` with the given environment and no other settings of this process.

    With `workers` None the service chooses the number of its workers.
    """

    def __init__(
        self,
        database: Mapping[str, Any],
        composer_url: str,
        *,
        environment: Mapping[str, str] | None = None,
        workers: int | None = 1,
        log: Path | None = None,
        cgroup: Path | None = None,
        python: Path | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT),
            "LISTEN_ADDRESS": f"127.0.0.1:{self.port}",
            "PGHOST": str(database["host"]),
            "PGPORT": str(database["port"]),
            "PGDATABASE": str(database["dbname"]),
            "PGUSER": str(database["user"]),
            "PGPASSWORD": str(database.get("password", "")),
            "COMPOSER_URL": composer_url,
            "OSBUILD_AWS_REGION": "us-east-1",
            "OSBUILD_GCP_REGION": "us-east1",
            "OSBUILD_GCP_BUCKET": "bucket",
            "SHUTDOWN_GRACE": "0",
            # Tests ask more than any person does; told of the limits they are all the same.
            "RATE_LIMIT_READS": "1000000",
            "RATE_LIMIT_WRITES": "1000000",
            "RATE_LIMIT_BUILDS": "1000000",
            # Tests count the calls of the composer; those of the status watcher turn it on.
            "STATUS_LOOKS_PER_SECOND": "0",
            # With `make coverage`, what the service runs is counted too.
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_PROCESS_")},
            **(environment or {}),
        }
        self._serve = ["serve"] if workers is None else ["serve", "--workers", str(workers)]
        self._cgroup = cgroup
        self._python = python
        output.configured(self.environment)
        self._log = log or output.file("service")
        self._errors = output.file("service-errors")
        if log is not None:
            output.also(log)
        self.process: subprocess.Popen[bytes] | Process | None = None

    def start(self) -> Self:
        """Start the service, and wait until it answers, and until it can use its database if that answers at all."""
        with self._log.open("ab") as log, self._errors.open("ab") as errors:
            self.process = self._start(self._serve, log, errors)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the service does not start: {self._errors.read_text()}")
            time.sleep(0.02)
        if self._is_database_available():
            while _NO_DATABASE in self._readiness() and time.monotonic() < deadline:
                time.sleep(0.2)
        return self

    def _start(self, arguments: list[str], stdout: IO[bytes], stderr: IO[bytes]) -> subprocess.Popen[bytes] | Process:
        if self._is_usual():
            return launch(arguments, self.environment, stdout.fileno(), stderr.fileno())
        # The process enters the control group before it becomes the service.
        enter = ["sh", "-c", f'echo $$ > {self._cgroup}/cgroup.procs && exec "$@"', "sh"] if self._cgroup else []
        return subprocess.Popen(
            [*enter, str(self._python or sys.executable), "-m", "image_builder", *arguments],
            env=self.environment,
            cwd="/",
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )

    def stop(self) -> int:
        """Shut the service down, and return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise

    def refusal_to_start(self) -> tuple[int, str]:
        """Start the service, which must end by itself, and return its exit status and output."""
        return self.command(*self._serve)

    def command(self, *arguments: str) -> tuple[int, str]:
        """Run a command in the same environment, and return its exit status and output."""
        with tempfile.TemporaryFile() as written:
            process = self._start(list(arguments), written, written)
            try:
                status = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
            written.seek(0)
            text = written.read()
        output.said(" ".join(arguments), text)
        return status, text.decode()

    def client(self, org_id: str = "000001", **fields: Any) -> Client:
        """A client that is a user of this organization."""
        return Client(self.url, {"x-rh-identity": identity(org_id, **fields)})

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def _is_usual(self) -> bool:
        """Whether it runs the program of this checkout, in no control group (that counts its code too) or coverage."""
        return (
            self._python is None
            and self._cgroup is None
            and self.environment["PYTHONPATH"] == str(PROJECT)
            and not any(name.startswith("COVERAGE_") for name in self.environment)
        )

    def _answers(self) -> bool:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)):
                return False  # cheaper than a request, and tried often
        try:
            return requests.get(f"{self.url}/status", timeout=1).ok
        except requests.RequestException:
            return False

    def _is_database_available(self) -> bool:
        names = {"PGHOST": "host", "PGPORT": "port", "PGDATABASE": "dbname", "PGUSER": "user", "PGPASSWORD": "password"}
        parameters = {keyword: self.environment[name] for name, keyword in names.items()}
        try:
            psycopg.connect(**parameters, connect_timeout=int(2 * STRETCH)).close()
        except psycopg.Error:
            return False
        return True

    def _readiness(self) -> str:
        try:
            return requests.get(f"{self.url}/ready", timeout=PATIENCE).text
        except requests.RequestException:
            return ""


class Client:
    """A client of the API; paths are below the base unless they begin with the URL of the server."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update(headers)
        self._session.hooks["response"].append(_check_export)

    def get(self, path: str, base: str = BASE, **arguments: Any) -> requests.Response:
        return self._session.get(self._url + base + path, timeout=PATIENCE, **arguments)

    def post(self, path: str, body: Any = None, base: str = BASE, **arguments: Any) -> requests.Response:
        output.given(body)
        return self._session.post(self._url + base + path, json=body, timeout=PATIENCE, **arguments)

    def delete(self, path: str, base: str = BASE, **arguments: Any) -> requests.Response:
        return self._session.delete(self._url + base + path, timeout=PATIENCE, **arguments)

    def request(self, method: str, path: str, base: str = BASE, **arguments: Any) -> requests.Response:
        output.given(arguments.get("json"))
        return self._session.request(method, self._url + base + path, timeout=PATIENCE, **arguments)

    def compose(self, body: Any) -> str:
        """Start a build, which must be accepted, and return its id."""
        response = self.post("/compose", body)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])


def _check_export(answer: requests.Response, **_: Any) -> None:
    """Every blueprint that a test gets in TOML is one that osbuild reads."""
    osbuild_reader.check_answer(answer.status_code, answer.headers.get("Content-Type"), answer.content)
