"""A stand-in as a child process: for `make run`, the demo, tests and benchmarks."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import requests

# Seconds for the process to start, to answer and to end.
TIMEOUT: Final = 30.0


class StandInProcess:
    """A running stand-in. Use as a context manager, or call `stop`.

    With `parent_death` it also ends when this process is killed. Linux treats the thread that started it as its parent,
    so start it from the main thread.
    """

    def __init__(self, name: str, module: str, options: Mapping[str, object], *, parent_death: bool) -> None:
        """Start the stand-in and wait until it listens.

        Raises RuntimeError if it does not start within 30 seconds; its messages are on stderr.
        """
        self._name = name
        command = [sys.executable, "-m", module, *(f"--{option}={value}" for option, value in options.items())]
        command += [f"--parent-death={os.getpid()}"] if parent_death else []
        self._session = requests.Session()
        self._session.trust_env = False
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)  # noqa: S603 - a command of this project
        try:
            self.url: str = self._read_url()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def steer(self, **behaviour: object) -> dict[str, Any]:
        """Change these keys of the behaviour, and return the whole behaviour.

        Raises ValueError for an unknown key or an invalid value.
        """
        return self._call("PUT", "/stand-in/behaviour", behaviour)

    def behaviour(self) -> dict[str, Any]:
        """The current behaviour, the counters and the latest calls."""
        return self._call("GET", "/stand-in/behaviour")

    def counters(self) -> dict[str, int]:
        """The number of calls of each operation."""
        counters: dict[str, int] = self.behaviour()["counters"]
        return counters

    def reset(self) -> None:
        """Reset the behaviour, the state and the counters."""
        self._call("DELETE", "/stand-in/behaviour")
        self._call("DELETE", "/stand-in/state")

    def stop(self) -> None:
        """End the process; a second call does nothing."""
        self._process.terminate()
        try:
            self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._session.close()

    def __enter__(self) -> Self:
        """Return the stand-in, which runs already."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """End the process."""
        self.stop()

    def _read_url(self) -> str:
        output = self._process.stdout
        if output and select.select([output], [], [], TIMEOUT)[0] and (line := output.readline()):
            url: str = json.loads(line)["url"]
            return url
        raise RuntimeError(f"the {self._name} does not start")

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = self._session.request(method, self.url + path, json=body, timeout=TIMEOUT)
        if answer.status_code == 400:
            raise ValueError(answer.text)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document
