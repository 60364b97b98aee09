"""A client that keeps very many requests open concurrently."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from tests.support.builders import identity
from tests.support.raw_http import head
from tests.support.service import BASE, Service
from tests.support.waiting import PATIENCE


class Flood:
    """Sends the same POST over this number of connections; `statuses` counts the answers."""

    def __init__(self, service: Service, tenant: str, path: str, body: Any, number: int) -> None:
        sent = json.dumps(body).encode()
        self._request = (
            head(
                "POST",
                BASE + path,
                {
                    "x-rh-identity": identity(tenant),
                    "Content-Type": "application/json",
                    "Content-Length": str(len(sent)),
                    "Connection": "close",
                },
            )
            + sent
        )
        place = urlsplit(service.url)
        self._place = (place.hostname, place.port)
        self._number = number
        self.statuses: Counter[int] = Counter()
        self.sent = 0

    def run(self) -> None:
        """Send all requests, and return when all were answered or abandoned."""
        asyncio.run(self._all())

    async def _all(self) -> None:
        await asyncio.gather(*(self._one() for _ in range(self._number)))

    async def _one(self) -> None:
        with suppress(OSError, TimeoutError, ValueError, IndexError):
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection(*self._place)
                try:
                    writer.write(self._request)
                    await writer.drain()
                    self.sent += 1
                    self.statuses[int((await reader.readline()).split()[1])] += 1
                    await reader.read()
                finally:
                    writer.close()


@contextmanager
def flooded(service: Service, tenant: str, path: str, body: Any, number: int) -> Iterator[Flood]:
    """Run the flood during the context; at the end all requests were answered."""
    flood = Flood(service, tenant, path, body, number)
    thread = threading.Thread(target=flood.run)
    thread.start()
    try:
        yield flood
    finally:
        thread.join()
