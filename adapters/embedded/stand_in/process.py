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

PATIENCE: Final = 10.0


class StandInProcess:
    """A running stand-in; as a context manager it is stopped at the end.

    With `parent_death` it also ends when this process is killed. Linux takes the thread that started it for
    its parent, so start it from a thread that lasts, the main thread.
    """

    def __init__(self, name: str, module: str, options: Mapping[str, object], *, parent_death: bool) -> None:
        """Start it and wait until it listens.

        Raises RuntimeError when it does not within ten seconds; its messages are on stderr.
        """
        self._name = name
        command = [sys.executable, "-m", module, *(f"--{option}={value}" for option, value in options.items())]
        command += [f"--parent-death={os.getpid()}"] if parent_death else []
        self._own = requests.Session()
        self._own.trust_env = False
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)  # noqa: S603 - ours
        try:
            self.url: str = self._announced()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def steer(self, **behaviour: object) -> dict[str, Any]:
        """Change these keys of its behaviour, and return all of it.

        Raises ValueError for a key or value it does not know.
        """
        return self._ask("PUT", "/stand-in/behaviour", behaviour)

    def behaviour(self) -> dict[str, Any]:
        """The behaviour in force, counters, the latest calls."""
        return self._ask("GET", "/stand-in/behaviour")

    def counters(self) -> dict[str, int]:
        """How often each operation was called."""
        counters: dict[str, int] = self.behaviour()["counters"]
        return counters

    def reset(self) -> None:
        """Make it behave as usual again, and forget its state and counters."""
        self._ask("DELETE", "/stand-in/behaviour")
        self._ask("DELETE", "/stand-in/state")

    def stop(self) -> None:
        """End it; doing so twice does no harm."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._own.close()

    def __enter__(self) -> Self:
        """Nothing more to do: it runs."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """End it."""
        self.stop()

    def _announced(self) -> str:
        output = self._process.stdout
        if output and select.select([output], [], [], PATIENCE)[0] and (line := output.readline()):
            url: str = json.loads(line)["url"]
            return url
        raise RuntimeError(f"the {self._name} does not start")

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = self._own.request(method, self.url + path, json=body, timeout=PATIENCE)
        if answer.status_code == 400:
            raise ValueError(answer.text)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document
