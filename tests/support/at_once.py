"""Calls that are made at the same time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import requests

Call = Callable[[], requests.Response]


def at_once(calls: Sequence[Call]) -> list[requests.Response]:
    """The answers, in the order of the calls; none begins before all are ready."""
    gate = threading.Barrier(len(calls))

    def made(call: Call) -> requests.Response:
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as callers:
        return [each.result() for each in [callers.submit(partial(made, call)) for call in calls]]


def statuses(answers: Sequence[requests.Response]) -> dict[int, int]:
    """How often each status was answered."""
    return dict(Counter(answer.status_code for answer in answers))
