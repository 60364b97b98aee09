"""Clients that start builds one after another, and record the answers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import requests

from tests.support.blueprints import blueprint, kept
from tests.support.builders import compose_request, image_request
from tests.support.pods import Pod
from tests.support.service import Client

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Seconds between two builds of a client: short at first, then longer, lest a slow round makes too many.
_SOON = 0.02
_LATER = 0.3
_MANY = 20


class Callers:
    """Four clients of three organizations; one of them builds two images of a blueprint at a time.

    The host name of an image and the label `owner` name its organization. Each client requests the same few images
    repeatedly.
    """

    def __init__(self, pod: Pod) -> None:
        self.promised: dict[str, str] = {}
        self.told: list[int] = []
        self.tenants = [uuid4().hex for _ in range(3)]
        self._pod = pod
        self._lock = Lock()
        self._stopped = Event()
        self._threads = ThreadPoolExecutor(4)
        self._running: list[Future[None]] = []

    def __enter__(self) -> Self:
        first, second, third = self.tenants
        client = self._pod.client(third)
        images = (image_request(), image_request("wsl"))
        customizations, labels = {"hostname": named(third, 0)}, {"owner": third}
        blueprint_id = kept(client, blueprint(third, *images, customizations=customizations, labels=labels))
        calls: list[tuple[str, Callable[[int], requests.Response]]] = [
            (tenant, self._composing(tenant)) for tenant in (first, first, second)
        ]
        calls.append((third, lambda _: client.post(f"/blueprints/{blueprint_id}/compose")))
        self._running = [self._threads.submit(self._call, tenant, call) for tenant, call in calls]
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Wait for the last answers."""
        self._stopped.set()
        self._threads.shutdown()
        for each in self._running:
            each.result()

    def _composing(self, tenant: str) -> Callable[[int], requests.Response]:
        client: Client = self._pod.client(tenant)
        return lambda number: client.post("/compose", asked_for(tenant, number % 2))

    def _call(self, tenant: str, call: Callable[[int], requests.Response]) -> None:
        number = 0
        while not self._stopped.is_set():
            try:
                answer = call(number)
            except requests.RequestException:
                return  # the service is gone
            with self._lock:
                self.told.append(answer.status_code)
                # A failure part-way names the builds that did start: they are promised, too.
                self.promised.update(dict.fromkeys(_ID.findall(answer.text), tenant))
            number += 1
            time.sleep(_SOON if len(self.promised) < _MANY else _LATER)


def asked_for(tenant: str, number: int, **fields: Any) -> dict[str, Any]:
    """A ComposeRequest whose submission to the composer, and whose label `owner`, show the organization."""
    return compose_request(customizations={"hostname": named(tenant, number)}, labels={"owner": tenant}, **fields)


def named(tenant: str, number: int) -> str:
    """The host name of an image of this organization."""
    return f"{tenant}.{number}"


def tenant_of(request: dict[str, Any]) -> str:
    """The organization for which a request at the composer was submitted."""
    hostname: str = request["customizations"]["hostname"]
    return hostname.rpartition(".")[0]
