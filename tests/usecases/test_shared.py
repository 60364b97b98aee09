"""Answers that simultaneous askers share (spec 10, last section; issue of state)."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.errors import UnavailableError
from image_builder.usecases.shared import Shared
from tests.support.waiting import PATIENCE


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_an_answer_stands_for_a_while_for_those_who_ask_the_same():
    asked, clock = [], Clock()
    shared = Shared(lambda key: asked.append(key) or len(asked), good_for=2.0, clock=clock)
    assert [shared("a"), shared("b"), shared("a")] == [1, 2, 1]
    clock.now = 1.9
    assert shared("a") == 1
    clock.now = 2.0
    assert shared("a") == 3


def test_those_who_ask_at_the_same_time_wait_for_one_answer():
    asked, go = [], threading.Event()

    def ask(key):
        asked.append(key)
        assert go.wait(PATIENCE)
        return object()

    shared = Shared(ask)
    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(shared, "a") for _ in range(8)]
        go.set()
        assert len({id(answer.result(PATIENCE)) for answer in answers}) == 1
    assert asked == ["a"]


def test_an_error_is_told_and_not_kept():
    answers = [UnavailableError("away"), "well"]

    def ask(_):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    shared = Shared(ask, clock=Clock())
    with pytest.raises(UnavailableError):
        shared("a")
    assert shared("a") == "well"


def test_an_error_reaches_all_who_wait_for_it():
    go = threading.Event()
    asked = []

    def ask(key):
        asked.append(key)
        assert go.wait(PATIENCE)
        raise UnavailableError("away")

    shared = Shared(ask)
    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(shared, "a") for _ in range(4)]
        while not asked:
            pass
        go.set()
        for answer in answers:
            with pytest.raises(UnavailableError):
                answer.result(PATIENCE)


def test_what_nobody_asks_for_any_more_is_forgotten():
    clock = Clock()
    shared = Shared(lambda key: key, good_for=2.0, clock=clock)
    for number in range(2000):
        clock.now = float(number)
        shared(number)
    assert len(shared._asked) < 1000
