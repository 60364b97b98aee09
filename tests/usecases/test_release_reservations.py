"""Reservations whose release the database does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from domain.errors import InvalidRequestError, ReservationUnknownError, UnavailableError
from domain.submission import Refused
from tests.support.starting import World

AWAY = UnavailableError("The database does not answer")
KEPT = "reservation kept: the database did not answer the release"


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


def kept(logged: list[Any]) -> list[str]:
    return [line["start"] for line in logged if line["event"] == KEPT]


def refused_while_the_database_goes_away(world: World, times: int = 1) -> None:
    world.composer.outcome = Refused(400, "24", "no")
    world.starts.failing["release"] = AWAY
    for _ in range(times):
        world.refuses(error=InvalidRequestError)


def test_a_reservation_is_released_when_the_database_is_available_again(world: World, logged: list[Any]) -> None:
    refused_while_the_database_goes_away(world, 2)
    assert len(world.starts.reserved) == 2
    with pytest.raises(UnavailableError):
        world.record.retry_pending()
    world.starts.failing.clear()
    world.record.retry_pending()
    world.record.retry_pending()
    world.record.finish()
    assert world.starts.reserved == {}
    assert world.starts.calls.count("release") == 4
    assert kept(logged) == []


def test_a_reservation_is_released_when_the_service_ends(world: World, logged: list[Any]) -> None:
    refused_while_the_database_goes_away(world)
    world.starts.failing.clear()
    world.record.finish()
    assert world.starts.reserved == {}
    assert kept(logged) == []


def test_a_kept_reservation_is_logged_once(world: World, logged: list[Any]) -> None:
    refused_while_the_database_goes_away(world, 2)
    with pytest.raises(UnavailableError):
        world.record.retry_pending()
    world.record.finish()
    world.record.finish()
    assert sorted(kept(logged)) == sorted(map(str, world.starts.reserved))
    assert len(world.starts.reserved) == 2


def test_a_kept_reservation_of_a_cancelled_build_is_logged_too(world: World, logged: list[Any]) -> None:
    world.starts.failing.update(record=AWAY, release=AWAY)
    world.refuses(error=UnavailableError)
    world.record.finish()
    assert kept(logged) == [str(start) for start in world.starts.reserved]


def test_no_kept_reservation_is_logged_for_one_that_was_never_recorded(world: World, logged: list[Any]) -> None:
    world.starts.failing.update(reserve=AWAY, release=AWAY)
    world.refuses(error=UnavailableError)
    world.record.finish()
    assert world.starts.calls == ["reserve"]
    assert logged == []


def test_an_unanswered_reservation_is_released_later_and_not_logged_as_kept(world: World, logged: list[Any]) -> None:
    world.starts.failing.update(reserve=ReservationUnknownError("The connection broke"), release=AWAY)
    world.refuses(error=UnavailableError)
    with pytest.raises(UnavailableError):
        world.record.retry_pending()
    world.record.finish()
    assert kept(logged) == []
    assert [line["log_level"] for line in logged] == ["warning", "warning"]
