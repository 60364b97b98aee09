"""Pods: services side by side on one database, each of which can be cut down at any moment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.support.databases import Parameters
from tests.support.service import Service

# Seconds: short, so that what a crash leaves is found soon.
INTERVAL = 0.2
LEASE = 1.0
RECONCILING = {"RECONCILE_INTERVAL": str(INTERVAL), "START_LEASE": str(LEASE), "COMPOSE_DEADLINE": str(LEASE)}
WINDOW = 24 * 3600 * 10**9


def quotas(folder: Path, limit: int) -> dict[str, str]:
    """The environment of a service where every organization may start so many builds a day."""
    path = folder / "quotas.json"
    path.write_text(json.dumps({"default": {"quota": limit, "slidingWindow": WINDOW}}))
    return {"QUOTA_FILE": str(path)}


@contextmanager
def pods(number: int, database: Parameters, composer_url: str, environment: dict[str, str]) -> Iterator[list[Service]]:
    """So many services, started at the same time."""
    services = [Service(database, composer_url, environment=environment) for _ in range(number)]
    with ThreadPoolExecutor(number) as starting:
        started = [starting.submit(service.start) for service in services]
    try:
        yield [each.result() for each in started]
    finally:
        for service in services:
            end(service)


def end(service: Service) -> None:
    """End it whatever has become of it; there is nothing to wait for."""
    if service.process is not None and service.process.poll() is None:
        service.kill()


class Relay:
    """One pod that serves, and the next one already up beside it, as a start takes longer than a test may."""

    def __init__(self, database: Parameters, composer_url: str, environment: dict[str, str]) -> None:
        self._database = database
        self._composer_url = composer_url
        self._environment = environment
        self._starting = ThreadPoolExecutor(1)
        self._services: list[Service] = []
        self._next = self._another()
        self.serving = self.hand_over()

    def hand_over(self) -> Service:
        """Have the next pod serve, and start the one after it."""
        self.serving = self._next.result()
        self._next = self._another()
        return self.serving

    def close(self) -> None:
        """End all."""
        self._starting.shutdown()
        for service in self._services:
            end(service)

    def _another(self) -> Future[Service]:
        service = Service(self._database, self._composer_url, environment=self._environment)
        self._services.append(service)
        return self._starting.submit(service.start)
