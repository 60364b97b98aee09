"""The running service, as a process of its own, and a client of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from tests.support import output
from tests.support.builders import identity
from tests.support.waiting import PATIENCE

PROJECT = Path(__file__).parent.parent.parent
BASE = "/api/image-builder/v1"


class Service:
    """`image-builder serve` with the given environment and nothing else of this process' settings."""

    def __init__(
        self,
        database: Mapping[str, Any],
        composer_url: str,
        *,
        environment: Mapping[str, str] | None = None,
        workers: int = 1,
        log: Path | None = None,
        cgroup: Path | None = None,
        python: Path | None = None,
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
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
        self._workers = workers
        self._cgroup = cgroup
        self._program = [str(python or sys.executable), "-m", "image_builder"]
        output.configured(self.environment)
        self._log = log or output.file("service")
        self._errors = output.file("service-errors")
        if log is not None:
            output.also(log)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log, self._errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [*self._entering(), *self._program, "serve", "--workers", str(self._workers)],
                env=self.environment,
                cwd="/",
                stdout=log,
                stderr=errors,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the service does not start: {self._errors.read_text()}")
            time.sleep(0.02)
        return self

    def _entering(self) -> list[str]:
        """What makes a process enter the control group before it becomes the service."""
        return [] if self._cgroup is None else ["sh", "-c", f'echo $$ > {self._cgroup}/cgroup.procs && exec "$@"', "sh"]

    def stop(self) -> int:
        """End it in its own way and return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise

    def refusal_to_start(self) -> tuple[int, str]:
        """The exit status and all the output of a service that must end by itself."""
        return self.command("serve", "--workers", str(self._workers))

    def command(self, *arguments: str) -> tuple[int, str]:
        """The exit status and all the output of a command in the same environment."""
        ended = subprocess.run(
            [*self._program, *arguments],
            env=self.environment,
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
        )
        output.said(" ".join(arguments), ended.stdout)
        return ended.returncode, ended.stdout.decode()

    def client(self, org_id: str = "000001", **fields: Any) -> Client:
        """A client that is a user of this organization."""
        return Client(self.url, {"x-rh-identity": identity(org_id, **fields)})

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/status", timeout=1).ok
        except requests.RequestException:
            return False


class Client:
    """Somebody who calls the API; paths are below the base unless they begin with the server's own."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update(headers)

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
        """The id of a build that must be accepted."""
        response = self.post("/compose", body)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])
