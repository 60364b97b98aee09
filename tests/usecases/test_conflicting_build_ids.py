"""A build whose id belongs, or may belong, to another build is not cancelled."""

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


def test_a_conflicting_id_keeps_the_reservation_and_is_logged_once(taken: World) -> None:
    with capture_logs() as logged:
        error = taken.refuses(error=BuildIdTakenError)
    assert "composer" in error.detail
    assert error.retry_after is None
    assert [line["log_level"] for line in logged] == ["error"]
    assert taken.meter.conflicting_ids == 1
    assert (len(taken.starts.reserved), len(taken.starts.composes)) == (1, 1)
    assert taken.composer.cancelled == []


def test_a_conflicting_id_is_not_retried_with_an_idempotency_key(taken: World) -> None:
    taken.key = uuid4()
    taken.refuses(error=BuildIdTakenError)
    taken.record.retry_pending()
    taken.record.finish()
    assert taken.starts.calls.count("record") == 2
    assert taken.keys.settled == []


def test_a_conflicting_id_in_a_retry_neither_cancels_the_build_nor_settles_the_key(taken: World) -> None:
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
def test_a_build_that_this_process_recorded_is_not_cancelled_while_the_database_is_unavailable(
    taken: World, *, keyed: bool
) -> None:
    taken.key = uuid4() if keyed else None
    taken.starts.failing.update(record=AWAY, is_recorded=AWAY)
    taken.refuses(error=UnavailableError)
    taken.record.finish()
    assert taken.composer.cancelled == []
    assert len(taken.starts.reserved) == 1


def test_a_build_in_the_history_is_not_cancelled(world: World) -> None:
    world()
    world.record.cancel._recorded.clear()
    world.starts.failing["record"] = RuntimeError("unforeseen")
    world.refuses(error=UnavailableError)
    assert world.composer.cancelled == []


def test_a_build_with_another_request_is_not_cancelled(world: World) -> None:
    world.composer.ordered = {"distribution": "another"}
    world.starts.failing.update(record=AWAY, is_recorded=AWAY)
    world.refuses(error=UnavailableError)
    assert world.composer.cancelled == []
    assert len(world.starts.reserved) == 1


def test_a_build_with_the_same_request_is_cancelled(world: World) -> None:
    world()
    world.composer.ordered = world.composer.submitted[0]
    world.composer.outcome = type(world.composer.outcome)(uuid4())  # type: ignore[call-arg]
    world.starts.failing.update(record=AWAY, is_recorded=AWAY)
    world.refuses(error=UnavailableError)
    assert len(world.composer.cancelled) == 1
