"""Organizations are served in turn, and none takes all places (image_builder.fair_queue)."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_builder.fair_queue import FairQueue


def put_all(queue: FairQueue[str], organization: str, number: int) -> list[str | None]:
    """What is refused for each of so many pieces of work of an organization."""
    return [queue.put(organization, f"{organization}{each}") for each in range(number)]


def taken(queue: FairQueue[str]) -> list[str]:
    """All work that may run now."""
    return [work for _, work in iter(queue.take, None)]


def in_turn(queue: FairQueue[str]) -> list[str]:
    """All work, as it is taken when each piece ends before the next one is taken."""
    order = []
    while (due := queue.take()) is not None:
        order.append(due[1])
        queue.finish(due[0])
    return order


def test_organizations_take_turns_however_much_one_of_them_has_waiting() -> None:
    queue: FairQueue[str] = FairQueue(2)
    put_all(queue, "a", 5)
    put_all(queue, "b", 2)
    put_all(queue, "c", 1)
    assert in_turn(queue) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4"]


def test_the_work_of_one_organization_keeps_its_order() -> None:
    queue: FairQueue[str] = FairQueue(4)
    put_all(queue, "a", 6)
    assert in_turn(queue) == [f"a{each}" for each in range(6)]


def test_one_organization_runs_at_most_half_of_what_may_run() -> None:
    queue: FairQueue[str] = FairQueue(10)
    put_all(queue, "a", 20)
    assert taken(queue) == [f"a{each}" for each in range(5)]
    assert not queue.has_place("a")
    assert queue.has_place("b")
    put_all(queue, "b", 1)
    assert taken(queue) == ["b0"]


def test_a_place_that_gets_free_is_taken_by_the_next_in_turn() -> None:
    queue: FairQueue[str] = FairQueue(4)
    put_all(queue, "a", 3)
    put_all(queue, "b", 3)
    assert taken(queue) == ["a0", "b0", "a1", "b1"]
    put_all(queue, "c", 1)
    queue.finish("a")
    assert taken(queue) == ["a2"]
    queue.finish("b")
    assert taken(queue) == ["b2"]
    queue.finish("b")
    assert taken(queue) == ["c0"]


def test_a_single_place_serves_everybody() -> None:
    queue: FairQueue[str] = FairQueue(1)
    put_all(queue, "a", 2)
    put_all(queue, "b", 1)
    assert in_turn(queue) == ["a0", "b0", "a1"]


def test_one_organization_waits_with_at_most_half_of_what_may_wait() -> None:
    queue: FairQueue[str] = FairQueue(2, max_waiting=10)
    assert put_all(queue, "a", 7) == [None] * 5 + ["a5", "a6"]
    assert put_all(queue, "b", 7) == [None] * 5 + ["b5", "b6"]


def test_an_organization_with_little_waiting_gets_the_newest_place_of_the_one_with_most() -> None:
    queue: FairQueue[str] = FairQueue(2, max_waiting=10)
    put_all(queue, "a", 5)
    put_all(queue, "b", 5)
    assert put_all(queue, "c", 3) == ["a4", "b4", "a3"]


def test_a_full_queue_is_shared_evenly_and_then_refuses_the_newcomer() -> None:
    queue: FairQueue[str] = FairQueue(2, max_waiting=4)
    put_all(queue, "a", 2)
    put_all(queue, "b", 2)
    assert put_all(queue, "c", 2) == ["a1", "c1"]
    assert put_all(queue, "d", 1) == ["b1"]
    assert put_all(queue, "e", 1) == ["e0"]


def test_what_is_taken_out_does_not_wait_any_more() -> None:
    queue: FairQueue[str] = FairQueue(2, max_waiting=4)
    put_all(queue, "a", 2)
    assert queue.clear() == ["a0", "a1"]
    assert queue.take() is None
    assert put_all(queue, "a", 3) == [None, None, "a2"]


def test_who_had_a_turn_is_forgotten_when_nothing_of_it_waits_or_runs() -> None:
    queue: FairQueue[str] = FairQueue(2)
    for number in range(100):
        put_all(queue, str(number), 1)
        in_turn(queue)
    assert not queue._running
    assert not queue._waiting


@given(st.lists(st.sampled_from("abc")), st.integers(1, 6), st.integers(1, 12))
def test_whatever_comes_the_limits_hold_and_nothing_is_lost(comes: list[str], places: int, max_waiting: int) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue(places, max_waiting=max_waiting)
    running: Counter[str] = Counter()
    seen, refused = [], []
    for number, organization in enumerate(comes):
        rejected = queue.put(organization, (organization, number))
        if rejected is not None:
            refused.append(rejected)
        while (due := queue.take()) is not None:
            seen.append(due[1])
            running[due[0]] += 1
        assert running.total() <= places
        assert all(number <= max(1, places // 2) for number in running.values())
        if number % 3 == 0 and running:
            ended = next(iter(running.elements()))
            running[ended] -= 1
            running += Counter()
            queue.finish(ended)
    waiting = queue.clear()
    assert len(waiting) <= max_waiting
    assert sorted([*seen, *refused, *waiting]) == sorted((each, number) for number, each in enumerate(comes))


@pytest.mark.parametrize("places", [2, 3, 80])
def test_another_organization_always_finds_a_place(places: int) -> None:
    queue: FairQueue[str] = FairQueue(places)
    put_all(queue, "a", 1000)
    taken(queue)
    put_all(queue, "b", 1)
    assert taken(queue) == ["b0"]


def test_work_is_taken_at_once_only_if_its_organization_has_a_place() -> None:
    queue: FairQueue[str] = FairQueue(4)
    assert [queue.take_at_once("a") for _ in range(3)] == [True, True, False]
    put_all(queue, "a", 1)
    assert queue.take_at_once("b")
    assert taken(queue) == []
    queue.finish("a")
    assert taken(queue) == ["a0"]
