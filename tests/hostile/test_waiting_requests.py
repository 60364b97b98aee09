"""A thousand requests that wait for another status: they hold little memory, and no thread."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request, identity
from tests.support.databases import Parameters
from tests.support.service import BASE, Client, Service
from tests.support.waiting import PATIENCE

WAITING = 1000
BUILDS = 50
MiB = 1024 * 1024
# Threads of a service whose pools are as large as by default, with all that it needs besides.
MOST_THREADS = 200


async def wait(port: int, compose_id: str) -> str:
    """The status line's code of a request that waits."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET {BASE}/composes/{compose_id} HTTP/1.1\r\nHost: x\r\nPrefer: wait=60\r\n"
    writer.write(f"{head}x-rh-identity: {identity('000001')}\r\n\r\n".encode())
    await writer.drain()
    line = await reader.readline()
    writer.close()
    return line.split()[1].decode()


def memory(service: Service) -> int:
    """The resident memory of the service in bytes."""
    assert service.process is not None
    return int(Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def let_them_wait(service: Service, client: Client, builds: list[str]) -> None:
    assert service.process is not None
    before = memory(service)
    waiting = []
    for number in range(WAITING):
        waiting.append(asyncio.create_task(wait(service.port, builds[number % BUILDS])))
        if number % 20 == 0:  # not faster than the service takes them
            await asyncio.to_thread(client.get, f"/composes/{builds[0]}")
    await asyncio.sleep(3)
    assert [task.result() for task in waiting if task.done()] == []
    assert memory(service) - before < 60 * MiB
    assert len(list(Path(f"/proc/{service.process.pid}/task").iterdir())) < MOST_THREADS
    for path in ("/version", "/composes"):
        answer = await asyncio.to_thread(client.get, path)
        assert answer.status_code == 200
    service.process.terminate()
    async with asyncio.timeout(PATIENCE):
        assert set(await asyncio.gather(*waiting)) == {"304"}


def test_a_thousand_waiting_requests_hold_little_memory_and_no_thread(
    database: Parameters, composer: StandInComposer
) -> None:
    composer.steer(image_status={"status": "building"})
    with Service(database, composer.url, environment={"STATUS_LOOKS_PER_SECOND": "20"}) as service:
        client = service.client("000001")
        builds = [client.compose(compose_request()) for _ in range(BUILDS)]
        for compose_id in builds:
            assert client.get(f"/composes/{compose_id}").status_code == 200
        for _ in range(50):
            client.get("/composes")
        asyncio.run(let_them_wait(service, client, builds))
