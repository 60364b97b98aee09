"""Builds with an Idempotency-Key that cannot be recorded at once."""

from __future__ import annotations

from uuid import uuid4

import pytest

from domain.errors import UnavailableError
from domain.submission import Accepted
from tests.support.starting import World

BUILD = uuid4()
AWAY = UnavailableError("The database does not answer")


@pytest.fixture
def world() -> World:
    """A build that the composer accepted while the database went away."""
    world = World()
    world.key = uuid4()
    world.composer.outcome = Accepted(BUILD)
    world.starts.failing["record"] = AWAY
    world.refuses(error=UnavailableError)
    return world


def test_a_pending_build_is_not_cancelled_and_counts(world: World) -> None:
    assert world.composer.cancelled == []
    assert len(world.starts.reserved) == 1


def test_a_pending_build_is_recorded_when_the_database_is_available_again(world: World) -> None:
    world.starts.failing.clear()
    world.record.retry_pending()
    assert list(world.starts.composes) == [world.composer.outcome.id]  # type: ignore[union-attr]
    assert world.starts.reserved == {}
    assert world.keys.settled == [world.key]


def test_a_pending_build_is_recorded_once(world: World) -> None:
    world.starts.failing.clear()
    world.record.retry_pending()
    world.record.retry_pending()
    assert world.keys.settled == [world.key]


@pytest.mark.parametrize("ending", [False, True], ids=["the service goes on", "the service ends"])
def test_a_pending_build_is_recorded_although_its_key_cannot_be_settled(world: World, *, ending: bool) -> None:
    world.starts.failing.clear()
    world.keys.failing = AWAY
    if ending:
        world.record.finish()
    else:
        world.record.retry_pending()
    assert list(world.starts.composes) == [BUILD]
    assert world.composer.cancelled == []


def test_a_build_that_stays_pending_for_a_lease_is_cancelled(world: World) -> None:
    world.now += 299
    with pytest.raises(UnavailableError):
        world.record.retry_pending()
    assert world.composer.cancelled == []
    world.now += 1
    world.record.retry_pending()
    assert world.composer.cancelled == [world.composer.outcome.id]  # type: ignore[union-attr]
    assert world.starts.reserved == {}
    world.record.retry_pending()
    assert len(world.composer.cancelled) == 1


def test_a_build_that_cannot_be_recorded_does_not_delay_others(world: World) -> None:
    world.starts.failing["record"] = RuntimeError("unforeseen")
    world.record.retry_pending()
    assert world.composer.cancelled == [BUILD]
    assert world.starts.reserved == {}


def test_a_service_that_ends_records_pending_builds(world: World) -> None:
    world.starts.failing.clear()
    world.record.finish()
    assert list(world.starts.composes) == [world.composer.outcome.id]  # type: ignore[union-attr]
    assert world.composer.cancelled == []


def test_a_service_that_ends_without_the_database_cancels_pending_builds(world: World) -> None:
    world.key = uuid4()
    world.refuses(error=UnavailableError)
    tried = world.starts.calls.count("record")
    world.record.finish()
    assert len(world.composer.cancelled) == 2
    assert world.starts.calls.count("record") == tried + 1
    assert world.keys.settled == []


def test_at_the_end_of_the_service_a_build_that_cannot_be_recorded_does_not_prevent_others(world: World) -> None:
    world.key = uuid4()
    other = uuid4()
    world.composer.outcome = Accepted(other)
    world.refuses(error=UnavailableError)
    world.starts.failing["record"] = RuntimeError("unforeseen")
    world.composer.cancelled_then = world.starts.failing.clear
    world.record.finish()
    assert world.composer.cancelled == [BUILD]
    assert list(world.starts.composes) == [other]
