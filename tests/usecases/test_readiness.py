"""Probes ask little, however often they come."""

from __future__ import annotations

import threading

import pytest

from domain.errors import UnavailableError
from image_builder.usecases.readiness import Probe
from tests.support.waiting import PATIENCE


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_between_two_questions_the_last_answer_stands() -> None:
    asked, clock = [], Clock()
    probe = Probe(lambda: asked.append(1), valid_for=2.0, clock=clock)
    for clock.now in (0.0, 1.0, 1.9, 2.0, 3.9):
        probe()
    assert len(asked) == 2


def test_a_bad_answer_stands_as_long_and_is_forgotten_then() -> None:
    answers, clock = [UnavailableError("away")], Clock()

    def check() -> None:
        if answers:
            raise answers.pop()

    probe = Probe(check, valid_for=2.0, clock=clock)
    for clock.now in (0.0, 1.0):
        with pytest.raises(UnavailableError):
            probe()
    clock.now = 2.0
    probe()


def test_while_one_asks_the_others_take_the_last_answer() -> None:
    asking, go_on, clock = threading.Event(), threading.Event(), Clock()
    slow = [False]

    def check() -> None:
        if slow[0]:
            asking.set()
            go_on.wait(PATIENCE)

    probe = Probe(check, valid_for=2.0, clock=clock)
    probe()
    slow[0], clock.now = True, 5.0
    asker = threading.Thread(target=probe)
    asker.start()
    asking.wait(PATIENCE)
    probe()  # would wait for the asker, and fail the test by its time
    assert asker.is_alive()
    go_on.set()
    asker.join()


def test_a_service_that_is_about_to_end_is_not_ready_whatever_the_last_answer_was() -> None:
    probe = Probe(lambda: None)
    probe()
    probe.end()
    with pytest.raises(UnavailableError, match="about to end"):
        probe()
