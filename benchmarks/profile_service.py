"""Where the CPU time of a request goes: the ASGI application in this process, one request after another.

The bridge's hop is made without another thread, so that one profiler sees all of it; what the pool's own threads do is
not in it. Time is the thread's CPU time: waiting for PostgreSQL or the composer does not count. A profiler makes small
Python functions look dearer than they are: compare shares, not sums.
"""

from __future__ import annotations

import asyncio
import cProfile
import os
import pstats
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from starlette.types import ASGIApp, Message

from benchmarks.common import surroundings
from benchmarks.rounds import console
from benchmarks.throughput import COMPOSE, PAGE, VERSION
from benchmarks.wrk import Load
from image_builder import app
from image_builder.http import lanes
from image_builder.http.call import CONNECTION

_LOADS = {"GET /version": VERSION, "GET /composes": PAGE, "POST /compose": COMPOSE}
_ROOMS = {"adapters", "domain", "image_builder", "ports"}

# A function that hands on this much to one other says nothing that the other does not say.
_NEARLY_ALL = 0.9

Place = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Profiled:
    """What so many requests took; `functions` is in the form of pstats, in seconds."""

    requests: int
    alone: float
    functions: Mapping[Place, tuple[int, int, float, float, Mapping[Place, tuple[int, int, float, float]]]]


class Inline(Executor):
    """Runs everything where it is submitted."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*arguments, **named))
        except Exception as error:  # noqa: BLE001 - as a thread's future has it
            done.set_exception(error)
        return done

    def start(self, work: Callable[[], object]) -> None:
        work()


class Connection:
    """The connection of a request, as far as the application uses it."""

    def mark_identified(self) -> None:
        """Do nothing: there is no server that limits connections."""


async def send(service: ASGIApp, load: Load) -> None:
    """One request. Raises RuntimeError unless it is answered with success."""
    path, _, query = load.path.partition("?")
    body = load.body or b""
    headers = [(name.lower().encode(), value.encode()) for name, value in load.headers.items()]
    headers += [
        (b"host", b"localhost"),
        (b"content-length", str(len(body)).encode()),
        (b"content-type", b"application/json"),
    ]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET" if load.body is None else "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": headers,
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        CONNECTION: Connection(),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def answered(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 300:
            raise RuntimeError(f"{load.path}: {message['status']}")

    await service(scope, receive, answered)


@asynccontextmanager
async def running() -> AsyncIterator[ASGIApp]:
    """The service, between its start and its end."""
    service = app.create()
    asked: asyncio.Queue[Message] = asyncio.Queue()
    up = asyncio.Event()

    async def answered(_: Message) -> None:
        up.set()

    life = asyncio.create_task(service({"type": "lifespan", "state": {}}, asked.get, answered))
    await asked.put({"type": "lifespan.startup"})
    await up.wait()
    yield service
    await asked.put({"type": "lifespan.shutdown"})
    await life


async def profiled(load: Load, requests: int) -> Profiled:
    """The time of that many requests, and the profile of as many more."""
    async with running() as service:
        for _ in range(requests // 10 + 1):
            await send(service, load)
        began = time.thread_time()
        for _ in range(requests):
            await send(service, load)
        alone = time.thread_time() - began
        profile = cProfile.Profile(time.thread_time)
        profile.enable()
        for _ in range(requests):
            await send(service, load)
        profile.disable()
    return Profiled(requests, alone / requests * 1e6, pstats.Stats(profile).stats)  # type: ignore[attr-defined]


def shares(profile: Profiled) -> Counter[str]:
    """Own time by module of ours and by library of others; what C functions take goes to who called them."""
    found: Counter[str] = Counter()
    for place, (_, _, own, _, callers) in profile.functions.items():
        if place[0] == "~" and callers:
            for caller, (_, _, part, _) in callers.items():
                found[_owner(caller)] += part
        else:
            found[_owner(place)] += own
    return found


def telling(profile: Profiled) -> list[Place]:
    """The functions that take most with what they call, less those that hand nearly all of it on to one other."""
    handed_on: dict[Place, float] = {}
    for _, _, _, _, callers in profile.functions.values():
        for caller, (_, _, _, cumulative) in callers.items():
            handed_on[caller] = max(handed_on.get(caller, 0.0), cumulative)
    found = [
        place
        for place, (_, _, _, cumulative, _) in profile.functions.items()
        if _owner(place) != "benchmark" and handed_on.get(place, 0.0) < _NEARLY_ALL * cumulative
    ]
    return sorted(found, key=lambda place: -profile.functions[place][3])


def _owner(place: Place) -> str:
    parts = Path(place[0]).with_suffix("").parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    room = next((index for index, part in enumerate(parts) if part in _ROOMS), None)
    if room is not None:
        return "/".join(parts[room:])
    if place[0] == "~":
        return "C without a caller"
    return "benchmark" if "benchmarks" in parts else f"standard library: {parts[-1] if parts else place[0]}"


def by_owner(title: str, profile: Profiled, most: int) -> Table:
    """Who takes the time."""
    found = shares(profile)
    whole = sum(found.values())
    table = Table(
        title=f"{title}: {profile.alone:,.0f} us CPU, {whole / profile.requests * 1e6:,.0f} under the profiler"
    )
    table.add_column("own time, with C functions")
    table.add_column("us", justify="right")
    table.add_column("share", justify="right")
    for owner, own in found.most_common(most):
        table.add_row(owner, f"{own / profile.requests * 1e6:,.1f}", f"{own / whole:.1%}")
    return table


def by_function(title: str, profile: Profiled, most: int) -> Table:
    """The functions that take most."""
    table = Table(title=f"{title}: functions by time with what they call")
    table.add_column("function", overflow="fold")
    for column in ("calls", "us with callees", "us own"):
        table.add_column(column, justify="right")
    for place in telling(profile)[:most]:
        _, calls, own, cumulative, _ = profile.functions[place]
        name = place[2] if place[0] == "~" else f"{_owner(place)}: {place[2]} ({Path(place[0]).name}:{place[1]})"
        each = (calls / profile.requests, cumulative / profile.requests * 1e6, own / profile.requests * 1e6)
        table.add_row(name, f"{each[0]:.1f}", f"{each[1]:,.1f}", f"{each[2]:,.1f}")
    return table


@click.command()
@click.option("--requests", default=1000, show_default=True, help="Requests of each kind.")
@click.option("--most", default=15, show_default=True, help="Rows of each table.")
@click.option("--user-every", default=4, show_default=True, help="Every which row of the page has a user; 0: none.")
def main(*, requests: int, most: int, user_every: int) -> None:
    """Print who takes the time of a GET, a page, a POST."""
    # The bridge runs its calls on this thread, which is profiled. It is a stand-in for a class, which mypy refuses.
    lanes.ThreadPool = Inline  # type: ignore[misc,assignment]
    with surroundings(user_every=user_every) as where:
        os.environ.update(where.environment(), LOG_LEVEL="INFO")
        # The access log is part of the cost, and no part of what is shown.
        shown, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
        for title, load in _LOADS.items():
            os.dup2(nowhere, 1)
            profile = asyncio.run(profiled(load, requests))
            os.dup2(shown, 1)
            console.print(by_owner(title, profile, most))
            console.print(by_function(title, profile, most))


if __name__ == "__main__":
    main()
