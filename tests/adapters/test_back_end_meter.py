"""Every call of a back-end is counted with its outcome."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from adapters.http.breaker import Breaker
from adapters.http.client import BackEnd, NoAnswerError, Timeouts
from ports.deadline import until
from ports.meter import CallOutcome
from tests.support.loopback import Loopback, Step, answer, close, hang
from tests.support.meter import FakeMeter

LONG = Timeouts(connect=5.0, read=10.0)
HASTY = Timeouts(connect=5.0, read=0.1)


@contextmanager
def a_back_end(*steps: Step, breaker: Breaker | None = None) -> Iterator[tuple[BackEnd, FakeMeter]]:
    meter = FakeMeter()
    with Loopback(*steps) as server:
        back_end = BackEnd("provisioning", server.url, connections=2, breaker=breaker, meter=meter)
        try:
            yield back_end, meter
        finally:
            back_end.close()


@pytest.mark.parametrize(
    ("step", "timeouts", "outcome"),
    [
        (answer(200), LONG, CallOutcome.SUCCESS),
        (answer(302), LONG, CallOutcome.SUCCESS),
        (answer(404), LONG, CallOutcome.REFUSED),
        (answer(500), LONG, CallOutcome.FAILED),
        (answer(503), LONG, CallOutcome.FAILED),
        (hang, HASTY, CallOutcome.LATE),
        (close, LONG, CallOutcome.NO_ANSWER),
    ],
)
def test_a_call_is_counted_with_its_outcome(step: Step, timeouts: Timeouts, outcome: CallOutcome) -> None:
    with a_back_end(step) as (back_end, meter):
        with suppress(NoAnswerError):
            back_end.post_once("/x", {}, timeouts)
        assert meter.calls == [("provisioning", outcome)]
        assert meter.seconds[0] > 0


def test_each_attempt_is_counted() -> None:
    with a_back_end(answer(503), answer(200)) as (back_end, meter):
        back_end.get("/x", LONG)
        assert [outcome for _, outcome in meter.calls] == [CallOutcome.FAILED, CallOutcome.SUCCESS]


def test_a_call_that_the_circuit_breaker_turns_away_is_counted() -> None:
    with a_back_end(answer(200), breaker=Breaker(failures=1)) as (back_end, meter):
        back_end.breaker.record_failure()
        with pytest.raises(NoAnswerError):
            back_end.post_once("/x", {}, LONG)
        assert meter.calls == [("provisioning", CallOutcome.TURNED_AWAY)]


def test_a_call_that_is_skipped_for_lack_of_time_is_not_counted() -> None:
    with a_back_end(answer(200)) as (back_end, meter), until(0):
        with pytest.raises(NoAnswerError):
            back_end.post_once("/x", {}, LONG)
        assert meter.calls == []
