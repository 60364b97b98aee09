"""Pods: services side by side on one database, which tests can kill at any moment."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from tests.support.databases import Parameters
from tests.support.service import Client, Service
from tests.support.waiting import STRETCH, until

# Seconds: short, so that what a crash leaves is found soon, and long enough for a start on a busy machine.
_INTERVAL = 0.2
LEASE = (1.0 + STRETCH) / 2
RECONCILING = {"RECONCILE_INTERVAL": str(_INTERVAL), "START_LEASE": str(LEASE), "COMPOSE_DEADLINE": str(LEASE)}
_WINDOW = 24 * 3600 * 10**9

# A process that has imported the service, from which pods are forked: imports are most of what a start takes.
_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload(["image_builder.app", "image_builder.cli"])


def quotas(folder: Path, limit: int) -> dict[str, str]:
    """The environment of a service in which every organization may start this number of builds a day."""
    path = folder / "quotas.json"
    path.write_text(json.dumps({"default": {"quota": limit, "slidingWindow": _WINDOW}}))
    return {"QUOTA_FILE": str(path)}


class Pod:
    """`image-builder serve` in a separate process, with this environment in addition to that of a test service."""

    def __init__(self, database: Parameters, composer_url: str, environment: Mapping[str, str]) -> None:
        self._make = partial(Service, database, composer_url, environment=environment)
        self._ends = ExitStack()
        self._process: ForkServerProcess | None = None
        self._service: Service | None = None

    @property
    def runs(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.is_alive()

    def client(self, org_id: str) -> Client:
        """A client that is a user of this organization."""
        assert self._service is not None, "it has been started"
        return self._service.client(org_id)

    def start(self) -> Self:
        """Start the pod, and wait until it answers."""
        self._service = self._make()
        self._ends.enter_context(_kept(self._service.port))
        self._process = _FORKS.Process(target=_serve, args=(self._service.environment,), daemon=True)
        self._process.start()
        status = f"{self._service.url}/status"
        until(lambda: _answers(status) or not self.runs, "a pod answers")
        assert self.runs, "a pod does not start"
        return self

    def freeze(self) -> None:
        """Stop the process until it is killed."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process continue."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the process as in a crash; does nothing if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._ends.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.kill()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        assert self._process.pid is not None
        os.kill(self._process.pid, number)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


@contextmanager
def _kept(port: int) -> Iterator[None]:
    """Reserve the port during the context: no client connection gets it, and a server can listen on it."""
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", port))
        yield


def _serve(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir("/")
    from image_builder.cli import main  # noqa: PLC0415 - here, as the environment has to come first

    main(["serve", "--workers=1"])


@contextmanager
def pods(number: int, database: Parameters, composer_url: str, environment: Mapping[str, str]) -> Iterator[list[Pod]]:
    """Start this number of pods concurrently."""
    made = [Pod(database, composer_url, environment) for _ in range(number)]
    try:
        with ThreadPoolExecutor(number) as starting:
            yield list(starting.map(Pod.start, made))
    finally:
        for pod in made:
            pod.kill()


class Relay:
    """A serving pod, and the next one, which starts in advance because the start takes time."""

    def __init__(self, database: Parameters, composer_url: str, environment: Mapping[str, str]) -> None:
        self._database = database
        self._composer_url = composer_url
        self._environment = environment
        self._starting = ThreadPoolExecutor(1)
        self._made: list[Pod] = []
        self._next = self._another()
        self.serving = self.hand_over()

    def hand_over(self) -> Pod:
        """Let the next pod serve, and start another one."""
        upcoming, self._next = self._next, self._another()
        self.serving = upcoming.result()
        return self.serving

    def close(self) -> None:
        """End all pods."""
        self._starting.shutdown()
        for pod in self._made:
            pod.kill()

    def _another(self) -> Future[Pod]:
        pod = Pod(self._database, self._composer_url, self._environment)
        self._made.append(pod)
        return self._starting.submit(pod.start)
