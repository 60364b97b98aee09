"""The rounds of the status watcher."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Lock
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.composes import BuildTimes
from domain.errors import NotFoundError, UnavailableError
from domain.looks import Look, LookOutcome, UnfinishedBuilds
from domain.status import ComposeStatus, ImageStatus
from image_builder.usecases import watch
from image_builder.usecases.looks import LookAtBuilds
from image_builder.usecases.watch import LookBudget, StatusWatcher
from ports.statuses import HistoryPosition
from tests.support.meter import FakeMeter
from tests.support.waiting import PATIENCE, until

BUILDING = ComposeStatus("pending", ImageStatus("building"))


class FakeStatuses:
    """Fulfils ports.statuses.Statuses: a queue in memory."""

    def __init__(self, due: Sequence[UUID] = ()) -> None:
        self.due = list(due)
        self.stored: list[Look] = []
        self.postponed: list[UUID] = []
        self.leads = True
        self.acquired = 0
        self.searched: list[HistoryPosition | None] = []
        self.pages = 1

    def store(self, look: Look) -> BuildTimes | None:
        self.due.remove(look.compose_id)
        self.stored.append(look)
        return BuildTimes()

    def find(self, compose_ids: Collection[UUID]) -> Mapping[UUID, str]:
        raise NotImplementedError

    def acquire_leadership(self, pod: UUID, term: timedelta) -> bool:
        self.acquired += 1
        return self.leads

    def watch_new(self, within: timedelta) -> None:
        pass

    def watch_older(self, after: HistoryPosition | None, limit: int) -> HistoryPosition | None:
        self.searched.append(after)
        self.pages -= 1
        return None if self.pages < 0 else HistoryPosition.__new__(HistoryPosition)

    def find_due(self, limit: int) -> Sequence[UUID]:
        return self.due[:limit]

    def postpone(self, compose_id: UUID) -> None:
        self.due.remove(compose_id)
        self.postponed.append(compose_id)

    def end_watch(self, limit: int) -> None:
        pass

    def count_unfinished(self) -> UnfinishedBuilds:
        return UnfinishedBuilds((len(self.due), 0, 0), timedelta(0))


class FakeComposer:
    """A composer that only tells statuses; `broken` builds and, while it is `away`, all others get no answer."""

    def __init__(self) -> None:
        self.away = False
        self.broken: set[UUID] = set()
        self.unknown: set[UUID] = set()
        self.asked: list[UUID] = []
        self.running = self.most_running = 0
        self._lock = Lock()

    def status(self, compose_id: UUID) -> ComposeStatus:
        with self._lock:
            self.asked.append(compose_id)
            self.running += 1
            self.most_running = max(self.running, self.most_running)
        time.sleep(0.01)
        with self._lock:
            self.running -= 1
        if self.away or compose_id in self.broken:
            raise UnavailableError("The composer gives no usable answer")
        if compose_id in self.unknown:
            raise NotFoundError("Compose not found")
        return BUILDING


class World:
    def __init__(self, builds: int) -> None:
        self.builds = [uuid4() for _ in range(builds)]
        self.statuses = FakeStatuses(self.builds)
        self.composer = FakeComposer()
        self.meter = FakeMeter()
        composer: Any = self.composer
        looks = LookAtBuilds(composer, self.statuses, self.meter)
        self.watch = StatusWatcher(self.statuses, looks, LookBudget(1000, 4), self.meter)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_PAUSE_AFTER_UNANSWERED", 0.0)


def test_all_due_builds_are_looked_at_with_no_more_calls_at_once_than_allowed() -> None:
    world = World(50)
    world.composer.unknown = set(world.builds[:2])
    world.watch()
    assert world.statuses.due == []
    assert {look.compose_id for look in world.statuses.stored} == set(world.builds)
    assert world.composer.most_running == 4
    assert sorted(world.meter.looks) == sorted([LookOutcome.FORGOTTEN] * 2 + [LookOutcome.RUNNING] * 48)
    assert world.meter.watch_rounds >= 1
    assert world.meter.unfinished[0].counts == (50, 0, 0)


def test_a_pod_that_does_not_lead_looks_at_nothing() -> None:
    world = World(5)
    world.statuses.leads = False
    for _ in range(3):
        world.watch()
    assert world.composer.asked == []
    assert world.statuses.acquired == 1, "it tries again after a pause"


def test_a_pod_that_loses_its_leadership_during_a_round_stops_looking_and_reports_no_builds() -> None:
    world = World(50)
    seconds = iter(range(1_000_000))
    world.watch.clock = lambda: float(next(seconds))

    def acquire(_pod: UUID, _term: timedelta) -> bool:
        world.statuses.acquired += 1
        return world.statuses.acquired == 1

    world.statuses.acquire_leadership = acquire  # type: ignore[method-assign]
    world.watch()
    assert 0 < len(world.composer.asked) < 10
    assert len(world.statuses.stored) == len(world.composer.asked), "its last answers are stored"
    assert [each.counts for each in world.meter.unfinished] == [(50, 0, 0), (0, 0, 0)]


def test_a_pod_that_cannot_reach_the_database_reports_no_builds() -> None:
    world = World(3)
    world.watch()
    world.watch.clock = lambda: time.monotonic() + 60

    def fail(_pod: UUID, _term: timedelta) -> bool:
        raise UnavailableError("The database is not available")

    world.statuses.acquire_leadership = fail  # type: ignore[method-assign]
    with pytest.raises(UnavailableError, match="database"):
        world.watch()
    assert [each.counts for each in world.meter.unfinished] == [(3, 0, 0), (0, 0, 0)]


def test_a_composer_that_is_away_is_asked_a_few_times_and_is_not_reported_as_watched() -> None:
    world = World(50)
    world.composer.away = True
    world.watch()
    first = len(world.composer.asked)
    assert first <= 3 + 4
    world.watch()
    assert len(world.composer.asked) - first == 3, "one at a time"
    assert world.meter.watch_rounds == 0
    world.composer.away = False
    world.watch()
    world.watch()
    assert world.statuses.due == []
    assert world.meter.watch_rounds > 0


def test_builds_whose_status_cannot_be_read_do_not_keep_others_from_being_looked_at() -> None:
    world = World(30)
    world.composer.broken = set(world.builds[:10])
    for _ in range(10):
        world.watch()
    assert {look.compose_id for look in world.statuses.stored} == set(world.builds[10:])
    assert set(world.statuses.postponed) == set(world.builds[:10])


def test_a_database_that_becomes_unavailable_ends_the_round() -> None:
    world = World(5)

    def fail(_: Look) -> BuildTimes | None:
        raise UnavailableError("The database is not available")

    world.statuses.store = fail  # type: ignore[method-assign]
    with pytest.raises(UnavailableError, match="database"):
        world.watch()


def test_a_stopped_watcher_looks_at_nothing() -> None:
    world = World(5)
    world.watch.stop()
    world.watch()
    assert world.composer.asked == []


def test_a_watcher_that_is_stopped_while_it_waits_for_its_turn_ends_without_an_error() -> None:
    world = World(5)
    world.watch.budget = LookBudget(1, 4)
    with ThreadPoolExecutor(1) as threads:
        round_ = threads.submit(world.watch)
        until(lambda: world.composer.asked, "the first look")
        world.watch.stop()
        round_.result(PATIENCE)
    assert len(world.composer.asked) < 5


def test_the_history_is_searched_to_its_end_and_again_after_a_pause() -> None:
    world = World(0)
    world.statuses.pages = 7
    now = time.monotonic()
    world.watch.clock = lambda: now
    world.watch()
    assert len(world.statuses.searched) == 5, "a part in each round"
    for _ in range(3):
        world.watch()
    assert len(world.statuses.searched) == 8
    assert world.statuses.searched[0] is None
    world.watch.clock = lambda: now + 301
    world.watch()
    assert world.statuses.searched[8:] == [None]
