"""What becomes of a build under an Idempotency-Key whose row cannot be written at once."""

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


def test_it_is_not_cancelled_and_counts(world: World) -> None:
    assert world.composer.cancelled == []
    assert len(world.starts.reserved) == 1


def test_it_is_recorded_under_the_composer_s_id_when_the_database_is_there_again(world: World) -> None:
    world.starts.failing.clear()
    world.record.retry_pending()
    assert list(world.starts.composes) == [world.composer.outcome.id]  # type: ignore[union-attr]
    assert world.starts.reserved == {}
    assert world.keys.settled == [world.key]


def test_it_is_recorded_once(world: World) -> None:
    world.starts.failing.clear()
    world.record.retry_pending()
    world.record.retry_pending()
    assert world.keys.settled == [world.key]


@pytest.mark.parametrize("ending", [False, True], ids=["the service goes on", "the service ends"])
def test_it_goes_on_also_where_its_key_cannot_be_settled(world: World, *, ending: bool) -> None:
    world.starts.failing.clear()
    world.keys.failing = AWAY
    if ending:
        world.record.finish()
    else:
        world.record.retry_pending()
    assert list(world.starts.composes) == [BUILD]
    assert world.composer.cancelled == []


def test_it_is_waited_for_as_long_as_a_start_is_worked_at_and_then_cancelled(world: World) -> None:
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


def test_one_that_cannot_be_recorded_at_all_holds_up_no_other(world: World) -> None:
    world.starts.failing["record"] = RuntimeError("unforeseen")
    world.record.retry_pending()
    assert world.composer.cancelled == [BUILD]
    assert world.starts.reserved == {}


def test_a_service_that_ends_records_it_at_the_last_moment(world: World) -> None:
    world.starts.failing.clear()
    world.record.finish()
    assert list(world.starts.composes) == [world.composer.outcome.id]  # type: ignore[union-attr]
    assert world.composer.cancelled == []


def test_a_service_that_ends_while_the_database_is_away_cancels_all_of_them(world: World) -> None:
    world.key = uuid4()
    world.refuses(error=UnavailableError)
    tried = world.starts.calls.count("record")
    world.record.finish()
    assert len(world.composer.cancelled) == 2
    assert world.starts.calls.count("record") == tried + 1
    assert world.keys.settled == []


def test_one_that_cannot_be_recorded_when_the_service_ends_takes_no_other_along(world: World) -> None:
    world.key = uuid4()
    other = uuid4()
    world.composer.outcome = Accepted(other)
    world.refuses(error=UnavailableError)
    world.starts.failing["record"] = RuntimeError("unforeseen")
    world.composer.cancelled_then = world.starts.failing.clear
    world.record.finish()
    assert world.composer.cancelled == [BUILD]
    assert list(world.starts.composes) == [other]
