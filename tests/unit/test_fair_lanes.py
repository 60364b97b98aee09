"""Thread pools with queues that organizations share (image_builder.http.lanes)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from domain.errors import UnavailableError
from image_builder.http.lanes import FairLane
from tests.support.waiting import PATIENCE


def in_a_lane(test: Callable[[FairLane], Awaitable[None]], threads: int = 4, max_waiting: int = 8) -> None:
    """Run a test with a lane on an event loop; the test must let all calls end."""

    async def main() -> None:
        lane = FairLane("test", threads, max_waiting)
        try:
            async with asyncio.timeout(PATIENCE):
                await test(lane)
        finally:
            lane.close()

    asyncio.run(main())


async def begun(began: list[str], number: int) -> None:
    while len(began) < number:
        await asyncio.sleep(0.005)


def waiting(gate: threading.Event, began: list[str], name: str) -> str:
    began.append(name)
    gate.wait(PATIENCE)
    return name


def test_a_call_returns_its_result_or_raises_its_error() -> None:
    def fail() -> None:
        raise ValueError("no")

    async def test(lane: FairLane) -> None:
        assert await lane.run("a", lambda: 42) == 42
        for _ in range(10):
            with pytest.raises(ValueError, match="no"):
                await lane.run("a", fail)

    in_a_lane(test)


def test_one_organization_gets_half_of_the_threads_and_of_the_queue() -> None:
    async def test(lane: FairLane) -> None:
        gate, began = threading.Event(), list[str]()
        calls = [asyncio.create_task(lane.run("a", partial(waiting, gate, began, "a"))) for _ in range(10)]
        await begun(began, 2)
        outcomes: list[object] = [await each for each in asyncio.as_completed([lane.run("b", lambda: "b")])]
        assert outcomes == ["b"], "another organization finds a thread at once"
        assert not lane.is_free_for("a")
        gate.set()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        refused = [each for each in answers if isinstance(each, UnavailableError)]
        assert (len(refused), answers.count("a")) == (4, 6)
        assert refused[0].detail == "Too many requests are waiting already"

    in_a_lane(test)


def test_organizations_get_the_threads_in_turn() -> None:
    async def test(lane: FairLane) -> None:
        gate, began = threading.Event(), list[str]()
        first = asyncio.create_task(lane.run("a", partial(waiting, gate, began, "first")))
        await begun(began, 1)
        others = [
            asyncio.create_task(lane.run(organization, partial(began.append, organization)))
            for organization in ("a", "a", "a", "b", "b", "c")
        ]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, *others)
        assert began == ["first", "a", "b", "c", "a", "b", "a"]

    in_a_lane(test, threads=1, max_waiting=10)


def test_when_the_queue_is_full_the_newest_call_of_the_organization_with_the_most_calls_is_refused() -> None:
    async def test(lane: FairLane) -> None:
        gate, began = threading.Event(), list[str]()
        calls = {
            organization: [
                asyncio.create_task(lane.run(organization, partial(waiting, gate, began, organization)))
                for _ in range(number)
            ]
            for organization, number in (("a", 4), ("b", 4), ("c", 2))
        }
        await asyncio.sleep(0.05)
        gate.set()
        answers = {
            organization: [isinstance(each, str) for each in await asyncio.gather(*tasks, return_exceptions=True)]
            for organization, tasks in calls.items()
        }
        # One call of a and one of b run, two of each wait. When c needs a place in the queue, a has the most calls.
        assert answers == {
            "a": [True, True, False, False],
            "b": [True, True, True, False],
            "c": [True, False],
        }

    in_a_lane(test, threads=2, max_waiting=4)


def test_a_call_that_is_cancelled_while_it_waits_leaves_the_queue() -> None:
    async def test(lane: FairLane) -> None:
        gate, began = threading.Event(), list[str]()
        calls = [asyncio.create_task(lane.run("a", partial(waiting, gate, began, "a"))) for _ in range(4)]
        await begun(began, 2)
        for call in calls[2:]:
            call.cancel()
        await asyncio.wait(calls[2:])
        gate.set()
        await asyncio.gather(*calls[:2])
        assert began == ["a", "a"]
        assert lane.is_free_for("a")
        gate.clear()
        again = [asyncio.create_task(lane.run("a", partial(waiting, gate, began, "again"))) for _ in range(2)]
        await begun(began, 4)
        gate.set()
        await asyncio.gather(*again)

    in_a_lane(test)


def test_a_call_that_is_cancelled_when_its_turn_comes_frees_its_thread() -> None:
    async def test(lane: FairLane) -> None:
        gate, began = threading.Event(), list[str]()
        first = asyncio.create_task(lane.run("a", partial(waiting, gate, began, "a")))
        await begun(began, 1)
        second = asyncio.create_task(lane.run("a", partial(waiting, gate, began, "cancelled")))
        await asyncio.sleep(0)
        # Both in one step of the event loop: the turn of the second has come, and its task has not run yet.
        first.add_done_callback(lambda _: second.cancel())
        gate.set()
        await asyncio.wait([first, second])
        assert second.cancelled()
        assert lane.is_free_for("a")
        assert await lane.run("a", lambda: "next") == "next"

    in_a_lane(test, threads=1)
