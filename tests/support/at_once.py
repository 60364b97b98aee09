"""Concurrent calls."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import requests

from tests.support.waiting import PATIENCE

Call = Callable[[], requests.Response]


def at_once(calls: Sequence[Call]) -> list[requests.Response]:
    """Make all calls concurrently, beginning when all are ready, and return the answers in the order of the calls."""
    gate = threading.Barrier(len(calls))

    def made(call: Call) -> requests.Response:
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as callers:
        return [each.result() for each in [callers.submit(partial(made, call)) for call in calls]]


def patient(call: Call) -> Call:
    """The call, made again as long as it is answered with 503: on a busy machine some of many callers wait too long."""

    def made() -> requests.Response:
        deadline = time.monotonic() + PATIENCE
        while (answer := call()).status_code == 503 and time.monotonic() < deadline:
            time.sleep(0.1)  # as the Retry-After of the answer asks clients to, but shorter
        return answer

    return made


def statuses(answers: Sequence[requests.Response]) -> dict[int, int]:
    """The number of answers by status."""
    return dict(Counter(answer.status_code for answer in answers))
