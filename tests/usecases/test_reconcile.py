"""When a pod looks after starts that were left, whom it asks, and what it touches (spec 40)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from adapters.fingerprints import HmacFingerprints
from domain.errors import NotFoundError, UnavailableError
from domain.idempotency import Failure
from domain.starts import AbandonedStart, Adoption, normalize_request
from image_builder.usecases.reconcile import ReconcileStarts
from ports.composer import Builds
from tests.support.meter import FakeMeter

LEASE = timedelta(seconds=300)
PRINTS = HmacFingerprints("secret")
ORDER = {"distribution": "centos-9", "image_request": {"image_type": "guest-image"}}
OTHER = {"distribution": "centos-10", "image_request": {"image_type": "guest-image"}}


class World:
    """A database with starts that were left, and a composer with `orders`, in memory; `now` is the time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.leads = True
        self.starts: dict[UUID, bytes] = {}
        self.recorded: dict[UUID, float] = {}
        self.of_blueprints: set[UUID] = set()
        self.orders: dict[UUID, Mapping[str, Any] | None] = {}
        self.rows: set[UUID] = set()
        self.complete = True
        self.away = False
        self.gone: set[UUID] = set()
        self.untold: set[UUID] = set()
        self.seconds_of_a_call = 0.0
        self.seconds_of_a_list = 0.0
        self.leads_until = float("inf")
        self.unsettled: list[tuple[UUID, tuple[UUID | None, ...]]] = []
        self.settled: list[UUID] = []
        self.closed: dict[UUID, Failure] = {}
        self.asked: list[UUID] = []
        self.listings = 0
        self.meter = FakeMeter()
        self.run = ReconcileStarts(
            abandoned_starts=Left(self),
            starts=self,  # type: ignore[arg-type]
            keys=Keys(self),  # type: ignore[arg-type]
            composer=self,  # type: ignore[arg-type]
            fingerprints=PRINTS,
            lease=LEASE,
            term=timedelta(seconds=180),
            meter=self.meter,
            clock=lambda: self.now,
        )

    def start(self, order: Mapping[str, Any] = ORDER, prints: HmacFingerprints = PRINTS) -> UUID:
        start = uuid4()
        self.starts[start] = prints.compute(normalize_request(order))
        self.recorded[start] = self.now
        return start

    def build(self, order: Mapping[str, Any] | None = ORDER) -> UUID:
        build = uuid4()
        self.orders[build] = order
        return build

    def runs_twice(self) -> None:
        """Two runs, with a lease between them."""
        self.run()
        self.now += LEASE.total_seconds()
        self.run()

    def release(self, starts: Sequence[UUID]) -> None:
        for start in starts:
            self.starts.pop(start, None)

    def builds(self) -> Builds:
        self.listings += 1
        self.now += self.seconds_of_a_list
        if self.away:
            raise UnavailableError("The composer gives no usable answer")
        return Builds(frozenset(self.orders), self.complete)

    def request(self, compose_id: UUID) -> Mapping[str, Any] | None:
        self.asked.append(compose_id)
        self.now += self.seconds_of_a_call
        if compose_id in self.untold:
            raise UnavailableError("The composer gives no usable answer")
        if compose_id in self.gone:
            raise NotFoundError("Compose not found")
        return self.orders[compose_id]


class Left:
    """See ports.store.AbandonedStarts."""

    def __init__(self, world: World) -> None:
        self._world = world

    def acquire_leadership(self, pod: UUID, term: timedelta) -> bool:
        return self._world.leads and self._world.now < self._world.leads_until

    def find_abandoned(self, lease: timedelta, max_age: timedelta, limit: int) -> Sequence[AbandonedStart]:
        age = timedelta(seconds=self._world.now)
        return [
            AbandonedStart(
                start,
                fingerprint,
                age - timedelta(seconds=self._world.recorded.get(start, 0)),
                start in self._world.of_blueprints,
            )
            for start, fingerprint in self._world.starts.items()
        ]

    def count(self, lease: timedelta) -> int:
        return len(self._world.starts)

    def find_recorded(self, composes: Collection[UUID]) -> frozenset[UUID]:
        return frozenset(self._world.rows.intersection(composes))

    def adopt(self, adoption: Adoption) -> bool:
        del self._world.starts[adoption.start]
        self._world.rows.add(adoption.compose)
        return True


class Keys:
    """See ports.store.IdempotencyKeys."""

    def __init__(self, world: World) -> None:
        self._world = world

    def find_unsettled(self, lease: timedelta, limit: int) -> Sequence[tuple[UUID, tuple[UUID | None, ...]]]:
        return self._world.unsettled

    def settle(self, key_id: UUID) -> None:
        self._world.settled.append(key_id)

    def settle_failed(self, key_id: UUID, failure: Failure) -> None:
        self._world.closed[key_id] = failure


@pytest.fixture
def world() -> World:
    return World()


def test_a_build_that_nobody_recorded_for_a_lease_becomes_the_start_s(world: World) -> None:
    world.start()
    build = world.build()
    world.runs_twice()
    assert world.rows == {build}
    assert world.starts == {}


def test_a_build_that_was_just_seen_first_is_not_touched(world: World) -> None:
    world.start()
    world.build()
    world.run()
    world.now += LEASE.total_seconds() - 1
    assert world.run() == 1
    assert world.rows == set()


def test_a_start_that_two_runs_do_not_find_at_the_composer_is_released(world: World) -> None:
    world.start()
    world.build(OTHER)
    assert world.run() == 1
    assert world.run() == 0
    assert world.rows == set()


def test_a_build_that_a_list_lacks_once_is_not_lost(world: World) -> None:
    world.start()
    build = world.build()
    del world.orders[build]
    world.run()
    world.orders[build] = ORDER
    world.runs_twice()
    assert world.rows == {build}


def test_builds_that_are_in_the_history_are_not_asked_for(world: World) -> None:
    world.start()
    world.rows.add(world.build())
    world.runs_twice()
    assert world.starts == {}
    assert world.asked == []


def test_a_build_s_order_is_asked_for_once(world: World) -> None:
    world.complete = False
    world.start()
    build = world.build(OTHER)
    world.runs_twice()
    assert world.asked == [build]


def test_without_starts_the_composer_is_not_asked(world: World) -> None:
    world.build()
    world.run()
    assert world.listings == 0


def test_a_pod_that_does_not_lead_touches_nothing_and_counts(world: World) -> None:
    world.leads = False
    world.start()
    world.unsettled.append((uuid4(), ()))
    assert world.run() == 1
    assert (world.listings, world.closed) == (0, {})


def test_a_pod_that_leads_again_remembers_what_it_has_seen(world: World) -> None:
    world.start()
    build = world.build()
    world.run()
    world.leads = False
    world.run()
    world.leads = True
    world.now += LEASE.total_seconds()
    assert world.run() == 0
    assert world.rows == {build}


def test_a_build_whose_order_the_composer_cannot_tell_holds_up_no_other(world: World) -> None:
    world.start()
    world.untold.add(world.build())
    build = world.build()
    world.runs_twice()
    assert world.rows == {build}


def test_a_pod_that_another_takes_over_from_asks_no_further(world: World) -> None:
    world.start()
    for _ in range(5):
        world.build(OTHER)
    world.seconds_of_a_call = 100
    world.leads_until = world.now + 250
    world.run()
    assert len(world.asked) == 3
    assert len(world.starts) == 1


def test_while_the_composer_is_away_starts_stay(world: World) -> None:
    world.start()
    world.away = True
    assert world.run() == 1


@pytest.mark.parametrize("spoil", ["list", "order"])
def test_nothing_is_released_as_long_as_some_builds_are_unknown(world: World, spoil: str) -> None:
    world.start()
    if spoil == "list":
        world.complete = False
    else:
        world.build(None)
    world.runs_twice()
    assert len(world.starts) == 1


def test_a_build_that_goes_while_it_is_asked_for_holds_nothing_up_for_longer(world: World) -> None:
    world.start()
    build = world.build()
    world.gone.add(build)
    world.run()
    del world.orders[build]
    world.runs_twice()
    assert world.starts == {}


def test_a_build_that_the_composer_cannot_tell_of_is_asked_for_until_it_can(world: World) -> None:
    world.start()
    build = world.build()
    world.untold.add(build)
    world.runs_twice()
    assert world.rows == set()
    world.untold.clear()
    world.now += LEASE.total_seconds()
    world.run()
    assert world.rows == {build}


def test_however_many_builds_the_composer_cannot_tell_of_each_gets_its_turn(world: World) -> None:
    world.start()
    world.untold.update(world.build() for _ in range(20))
    others = {world.build(None) for _ in range(1500)}
    build = world.build()
    for _ in range(20):
        world.run()
        world.now += 60
    assert others | {build} <= set(world.asked)
    assert world.rows == {build}


def test_a_composer_that_answers_about_no_build_is_left_alone(world: World) -> None:
    world.start()
    world.untold.update(world.build() for _ in range(20))
    world.run()
    assert len(world.asked) == 3


def test_a_build_is_no_older_than_its_start_because_the_list_takes_long(world: World) -> None:
    start = world.start(OTHER)
    world.run()
    world.start()
    build = world.build()
    world.run()
    world.release([start])
    world.seconds_of_a_list = 400
    world.runs_twice()
    world.run()
    assert world.rows == {build}


def test_a_start_of_before_the_secret_changed_stays(world: World) -> None:
    world.start(prints=HmacFingerprints("the one before"))
    world.build()
    world.runs_twice()
    assert len(world.starts) == 1
    assert world.rows == set()


def test_a_key_whose_builds_are_all_there_is_settled(world: World) -> None:
    key = uuid4()
    world.unsettled.append((key, (uuid4(), uuid4())))
    world.run()
    assert world.settled == [key]


def test_a_key_that_made_a_part_tells_which(world: World) -> None:
    key, made = uuid4(), uuid4()
    world.unsettled.append((key, (None, made)))
    world.run()
    assert str(made) in world.closed[key].detail
    assert isinstance(world.closed[key].error(), UnavailableError)


@pytest.mark.parametrize("made", [(), (None, None)])
def test_a_key_that_made_nothing_is_closed(world: World, made: tuple[None, ...]) -> None:
    key = uuid4()
    world.unsettled.append((key, made))
    world.run()
    assert list(world.closed) == [key]
    assert world.settled == []


# What is told


def test_what_became_of_starts_and_what_is_left_is_told(world: World) -> None:
    world.start()
    world.build()
    world.start(OTHER)
    world.runs_twice()
    assert (world.meter.adopted, world.meter.released) == (1, 1)
    assert world.meter.unmatched == [2, 0]
    assert world.meter.looked_after == 2


def test_a_pod_that_does_not_lead_tells_what_is_left(world: World) -> None:
    world.start()
    world.leads = False
    world.run()
    assert world.meter.unmatched == [1]
    assert world.meter.looked_after == 0


def test_who_cannot_ask_the_composer_has_not_looked_after_anything_but_keys(world: World) -> None:
    world.start()
    world.away = True
    key = uuid4()
    world.unsettled.append((key, ()))
    world.run()
    assert world.meter.looked_after == 0
    assert list(world.closed) == [key]


WITH_PASSWORD = {"distribution": "centos-9", "customizations": {"users": [{"name": "u", "password": "$6$salt$digest"}]}}


@pytest.mark.parametrize(
    "recorded",
    [
        pytest.param(normalize_request(WITH_PASSWORD), id="before it was hashed"),
        pytest.param(WITH_PASSWORD, id="by an older version, with the hash"),
    ],
)
@pytest.mark.parametrize("told", [{}, {"blueprint_id": str(uuid4())}])
def test_a_build_with_passwords_is_adopted_however_its_start_was_recorded(
    world: World, recorded: dict[str, Any], told: dict[str, str]
) -> None:
    start = uuid4()
    world.starts[start], world.recorded[start] = PRINTS.compute(recorded), world.now
    world.of_blueprints.add(start)
    build = world.build({**WITH_PASSWORD, **told})
    world.runs_twice()
    assert world.rows == {build}
    assert world.starts == {}


def test_a_start_whose_pod_was_killed_before_it_hashed_the_passwords_is_released(world: World) -> None:
    start = uuid4()
    users = {"users": [{"name": "u", "password": "$6$another$"}]}
    recorded = normalize_request({**WITH_PASSWORD, "customizations": users})
    world.starts[start], world.recorded[start] = PRINTS.compute(recorded), world.now
    world.build(WITH_PASSWORD)
    world.runs_twice()
    world.runs_twice()
    assert world.starts == {}
    assert world.rows == set()
