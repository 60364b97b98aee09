"""What is promised for the time that the database is away, and for the time after it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import Final

import requests

from tests.support.refusals import refusal
from tests.support.service import Service
from tests.support.waiting import STRETCH

# Seconds.
REFUSED_WITHIN: Final = 2.0 * STRETCH
BACK_WITHIN: Final = 5.0 * STRETCH
# What a busy machine may add to the slowest of several.
SLACK: Final = 3.0 * STRETCH


def refused(answer: requests.Response, within: float = REFUSED_WITHIN) -> None:
    """An answer must say that the database is away and when to come again, in so many seconds and some slack."""
    refusal(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.elapsed.total_seconds() < within + SLACK


def all_refused(answers: Sequence[requests.Response]) -> None:
    """Each answer must be a refusal, and most have to be in time."""
    for answer in answers:
        refused(answer)
    in_time(answers)


def in_time(answers: Sequence[requests.Response]) -> None:
    """Most must not have been waited for longer than a refusal may take, and none much longer."""
    waited = [answer.elapsed.total_seconds() for answer in answers]
    assert median(waited) < REFUSED_WITHIN
    assert max(waited) < REFUSED_WITHIN + SLACK


def until_it_works(service: Service, path: str = "/composes", within: float = BACK_WITHIN) -> None:
    """Return when the service answers with what it reads from its database, which has to be in time.

    Few of the seconds are needed on a machine with nothing else to do.
    """
    deadline = time.monotonic() + within
    while service.client().get(path).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
