"""Starts of builds that a crash interrupts, in the real service."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.pods import Pod
from tests.support.waiting import until

Call = Callable[[], requests.Response]
# Seconds: longer than it takes to kill a pod.
_HELD = 3.0


def killed_while_the_composer_builds(pod: Pod, composer: StandInComposer, calls: Sequence[Call], builds: int) -> None:
    """Kill the pod after the composer has accepted all builds of the calls, and before it has answered."""
    composer.steer(post_latency=_HELD)
    wanted = composer.behaviour()["composes"] + builds
    killed_when(pod, calls, lambda: composer.behaviour()["composes"] == wanted)
    composer.steer(post_latency=None)


def killed_before_the_composer_looks(pod: Pod, composer: StandInComposer, calls: Sequence[Call], builds: int) -> None:
    """Kill the pod after it has recorded all starts of the calls, and before it calls the composer."""
    composer.steer(hang=True)
    killed_when(pod, calls, lambda: asking(composer, "POST") == builds)
    composer.steer(hang=None)
    until(lambda: not asking(composer, "POST"), "the composer notices that nobody waits")


def asking(composer: StandInComposer, method: str) -> int:
    """The number of calls with this method that the composer has not answered yet."""
    return sum(call["ended"] is None and call["method"] == method for call in composer.behaviour()["recent"])


def killed_when(pod: Pod, calls: Sequence[Call], reached: Callable[[], bool]) -> None:
    """Kill the pod when the calls have `reached` a point."""

    def made(call: Call) -> None:
        with contextlib.suppress(requests.RequestException):
            call()

    with ThreadPoolExecutor(len(calls)) as threads:
        made_calls = [threads.submit(made, call) for call in calls]
        until(reached, "all starts have come so far")
        pod.kill()
    for each in made_calls:
        each.result()
