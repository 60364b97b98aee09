"""The reconciler: when a pod reconciles abandoned starts, and what it changes."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from adapters.fingerprints import HmacFingerprints
from domain.errors import UnavailableError
from domain.idempotency import UnsettledKey
from domain.starts import normalize_request
from tests.support.reconciled_world import LEASE, ORDER, OTHER, PRINTS, World


@pytest.fixture
def world() -> World:
    return World()


def test_a_build_that_stays_unrecorded_for_a_lease_is_adopted(world: World) -> None:
    world.start()
    build = world.build()
    world.runs_twice()
    assert world.rows == {build}
    assert world.starts == {}


def test_a_build_that_was_first_seen_now_is_not_adopted(world: World) -> None:
    world.start()
    world.build()
    world.run()
    world.now += LEASE.total_seconds() - 1
    assert world.run() == 1
    assert world.rows == set()


def test_a_start_without_a_build_in_two_runs_is_released(world: World) -> None:
    world.start()
    world.build(OTHER)
    assert world.run() == 1
    assert world.run() == 0
    assert world.rows == set()


def test_a_build_that_is_missing_in_one_list_is_still_adopted(world: World) -> None:
    world.start()
    build = world.build()
    del world.orders[build]
    world.run()
    world.orders[build] = ORDER
    world.runs_twice()
    assert world.rows == {build}


def test_the_requests_of_recorded_builds_are_not_read(world: World) -> None:
    world.start()
    world.rows.add(world.build())
    world.runs_twice()
    assert world.starts == {}
    assert world.asked == []


def test_the_request_of_a_build_is_read_once(world: World) -> None:
    world.complete = False
    world.start()
    build = world.build(OTHER)
    world.runs_twice()
    assert world.asked == [build]


def test_without_starts_the_composer_is_not_asked(world: World) -> None:
    world.build()
    world.run()
    assert world.listings == 0


def test_a_pod_that_is_not_the_leader_changes_nothing_and_counts(world: World) -> None:
    world.leads = False
    world.start()
    world.unsettled.append(UnsettledKey(uuid4(), ()))
    assert world.run() == 1
    assert (world.listings, world.closed) == (0, {})


def test_a_pod_that_becomes_leader_again_remembers_the_builds_it_has_seen(world: World) -> None:
    world.start()
    build = world.build()
    world.run()
    world.leads = False
    world.run()
    world.leads = True
    world.now += LEASE.total_seconds()
    assert world.run() == 0
    assert world.rows == {build}


def test_a_build_whose_request_cannot_be_read_does_not_delay_others(world: World) -> None:
    world.start()
    world.untold.add(world.build())
    build = world.build()
    world.runs_twice()
    assert world.rows == {build}


def test_a_pod_that_loses_the_leadership_reads_no_further_requests(world: World) -> None:
    world.start()
    for _ in range(5):
        world.build(OTHER)
    world.seconds_of_a_call = 100
    world.leads_until = world.now + 250
    world.run()
    assert len(world.asked) == 3
    assert len(world.starts) == 1


def test_starts_stay_while_the_composer_is_unavailable(world: World) -> None:
    world.start()
    world.away = True
    assert world.run() == 1


@pytest.mark.parametrize("spoil", ["list", "order"])
def test_no_start_is_released_while_the_requests_of_some_builds_are_unknown(world: World, spoil: str) -> None:
    world.start()
    if spoil == "list":
        world.complete = False
    else:
        world.build(None)
    world.runs_twice()
    assert len(world.starts) == 1


def test_a_build_that_disappears_while_its_request_is_read_delays_nothing_further(world: World) -> None:
    world.start()
    build = world.build()
    world.gone.add(build)
    world.run()
    del world.orders[build]
    world.runs_twice()
    assert world.starts == {}


def test_an_unreadable_request_is_read_again_until_it_succeeds(world: World) -> None:
    world.start()
    build = world.build()
    world.untold.add(build)
    world.runs_twice()
    assert world.rows == set()
    world.untold.clear()
    world.now += LEASE.total_seconds()
    world.run()
    assert world.rows == {build}


def test_each_of_many_unreadable_requests_is_tried(world: World) -> None:
    world.start()
    world.untold.update(world.build() for _ in range(20))
    others = {world.build(None) for _ in range(1500)}
    build = world.build()
    for _ in range(20):
        world.run()
        world.now += 60
    assert others | {build} <= set(world.asked)
    assert world.rows == {build}


def test_a_composer_that_answers_for_no_build_is_not_called_further(world: World) -> None:
    world.start()
    world.untold.update(world.build() for _ in range(20))
    world.run()
    assert len(world.asked) == 3


def test_a_slow_list_does_not_make_a_build_older_than_its_start(world: World) -> None:
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


def test_a_start_with_a_fingerprint_of_another_secret_stays(world: World) -> None:
    world.start(prints=HmacFingerprints("the one before"))
    world.build()
    world.runs_twice()
    assert len(world.starts) == 1
    assert world.rows == set()


def test_a_key_whose_builds_are_all_recorded_is_settled(world: World) -> None:
    key = uuid4()
    world.unsettled.append(UnsettledKey(key, (uuid4(), uuid4())))
    world.run()
    assert world.settled == [key]


def test_the_failure_of_a_key_with_some_builds_names_them(world: World) -> None:
    key, made = uuid4(), uuid4()
    world.unsettled.append(UnsettledKey(key, (None, made)))
    world.run()
    assert str(made) in world.closed[key].detail
    assert isinstance(world.closed[key].to_error(), UnavailableError)


@pytest.mark.parametrize("made", [(), (None, None)])
def test_a_key_without_builds_is_settled_as_failed(world: World, made: tuple[None, ...]) -> None:
    key = uuid4()
    world.unsettled.append(UnsettledKey(key, made))
    world.run()
    assert list(world.closed) == [key]
    assert world.settled == []


# What is told


def test_metrics_count_adopted_released_and_remaining_starts(world: World) -> None:
    world.start()
    world.build()
    world.start(OTHER)
    world.runs_twice()
    assert (world.meter.adopted, world.meter.released) == (1, 1)
    assert world.meter.unmatched == [2, 0]
    assert world.meter.looked_after == 2


def test_a_pod_that_is_not_the_leader_reports_the_remaining_starts(world: World) -> None:
    world.start()
    world.leads = False
    world.run()
    assert world.meter.unmatched == [1]
    assert world.meter.looked_after == 0


def test_a_run_without_the_composer_settles_keys_and_counts_as_incomplete(world: World) -> None:
    world.start()
    world.away = True
    key = uuid4()
    world.unsettled.append(UnsettledKey(key, ()))
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
