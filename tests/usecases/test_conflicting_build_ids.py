"""A build whose id is another build's, and one that cannot be recorded and may be another's: neither is cancelled."""

from __future__ import annotations

from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from domain.errors import BuildIdTakenError, UnavailableError
from tests.support.starting import World

AWAY = UnavailableError("The database does not answer")


@pytest.fixture
def taken(world: World) -> World:
    """The composer names the next build as the one before."""
    world()
    return world


def test_it_stays_counted_and_is_told_once(taken: World) -> None:
    with capture_logs() as logged:
        error = taken.refuses(error=BuildIdTakenError)
    assert "composer" in error.detail
    assert error.retry_after is None
    assert [line["log_level"] for line in logged] == ["error"]
    assert taken.meter.conflicting_ids == 1
    assert (len(taken.starts.reserved), len(taken.starts.composes)) == (1, 1)
    assert taken.composer.cancelled == []


def test_it_is_not_tried_for_again_under_a_key(taken: World) -> None:
    taken.key = uuid4()
    taken.refuses(error=BuildIdTakenError)
    taken.record.retry_pending()
    taken.record.finish()
    assert taken.starts.calls.count("record") == 2
    assert taken.keys.settled == []


def test_one_that_is_late_is_neither_cancelled_nor_settled(taken: World) -> None:
    taken.key = uuid4()
    taken.starts.failing["record"] = AWAY
    taken.refuses(error=UnavailableError)
    taken.starts.failing.clear()
    taken.record.retry_pending()
    taken.now += 1000
    taken.record.retry_pending()
    assert taken.meter.conflicting_ids == 1
    assert taken.composer.cancelled == []
    assert taken.keys.settled == []
    assert len(taken.starts.reserved) == 1


@pytest.mark.parametrize("keyed", [False, True])
def test_one_that_this_process_recorded_is_not_cancelled_while_the_database_is_away(
    taken: World, *, keyed: bool
) -> None:
    taken.key = uuid4() if keyed else None
    taken.starts.failing.update(record=AWAY, is_recorded=AWAY)
    taken.refuses(error=UnavailableError)
    taken.record.finish()
    assert taken.composer.cancelled == []
    assert len(taken.starts.reserved) == 1


def test_one_that_the_history_has_is_not_cancelled(world: World) -> None:
    world()
    world.record.cancel._recorded.clear()
    world.starts.failing["record"] = RuntimeError("unforeseen")
    world.refuses(error=UnavailableError)
    assert world.composer.cancelled == []


def test_one_that_was_ordered_otherwise_is_not_cancelled(world: World) -> None:
    world.composer.ordered = {"distribution": "another"}
    world.starts.failing.update(record=AWAY, is_recorded=AWAY)
    world.refuses(error=UnavailableError)
    assert world.composer.cancelled == []
    assert len(world.starts.reserved) == 1


def test_one_that_was_ordered_so_is_cancelled(world: World) -> None:
    world()
    world.composer.ordered = world.composer.submitted[0]
    world.composer.outcome = type(world.composer.outcome)(uuid4())  # type: ignore[call-arg]
    world.starts.failing.update(record=AWAY, is_recorded=AWAY)
    world.refuses(error=UnavailableError)
    assert len(world.composer.cancelled) == 1
