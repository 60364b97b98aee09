"""The promises of the service for the time while the database is unavailable, and for the time after it."""

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
    """An answer must name the unavailable database, with Retry-After, within these seconds and some slack."""
    refusal(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.elapsed.total_seconds() < within + SLACK


def all_refused(answers: Sequence[requests.Response]) -> None:
    """Each answer must be such an error, and most of them in time."""
    for answer in answers:
        refused(answer)
    in_time(answers)


def in_time(answers: Sequence[requests.Response]) -> None:
    """Most answers must arrive within the time limit of an error, and none much later."""
    waited = [answer.elapsed.total_seconds() for answer in answers]
    assert median(waited) < REFUSED_WITHIN
    assert max(waited) < REFUSED_WITHIN + SLACK


def until_it_works(service: Service, path: str = "/composes", within: float = BACK_WITHIN) -> None:
    """Return when the service answers from its database, which must happen in time.

    An idle machine needs only a few of the seconds.
    """
    deadline = time.monotonic() + within
    while service.client().get(path).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
