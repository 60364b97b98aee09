"""Clients that send requests until connections are refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import Any

from tests.support.builders import compose_request, identity
from tests.support.service import BASE
from tests.support.waiting import PATIENCE


class Busy:
    """Starts builds one after another, over one connection or over one each, until a connection is refused.

    `answers` are statuses and documents in order; `cut` are requests that were sent and got no answer.
    """

    def __init__(self, port: int, tenant: str, *, keep_alive: bool, stopped: Callable[[], bool]) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._headers = {"x-rh-identity": identity(tenant), "Content-Type": "application/json"}
        self._keep_alive = keep_alive
        self._stopped = stopped
        self.answers: list[tuple[int, Any]] = []
        self.cut: list[Exception] = []

    def run(self) -> None:
        """Send requests until a connection is refused, or until it is stopped."""
        try:
            while not self._stopped() and self._reached():
                self._ask()
        except (OSError, HTTPException, ValueError) as error:
            self.cut.append(error)
        finally:
            self._connection.close()

    def _reached(self) -> bool:
        if self._connection.sock is None:
            try:
                self._connection.connect()
            except ConnectionRefusedError:
                return False
        return True

    def _ask(self) -> None:
        headers = self._headers if self._keep_alive else {**self._headers, "Connection": "close"}
        self._connection.request("POST", f"{BASE}/compose", json.dumps(compose_request()), headers)
        answer = self._connection.getresponse()
        self.answers.append((answer.status, json.loads(answer.read())))


@contextmanager
def busy_clients(port: int, tenant: str, count: int = 8) -> Iterator[list[Busy]]:
    """Run this number of clients, half of them with a new connection for each request; stop all at the end."""
    stop = threading.Event()
    clients = [Busy(port, tenant, keep_alive=number % 2 == 0, stopped=stop.is_set) for number in range(count)]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield clients
    finally:
        stop.set()
        for thread in threads:
            thread.join()
