"""Rounds in which the service is killed during one request, and another pod takes over."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Generic, Self, TypeVar

import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.databases import Parameters
from tests.support.holds import add_gate, end_waiting_sessions
from tests.support.losing import asking
from tests.support.pods import RECONCILING, Pod, Relay, quotas
from tests.support.waiting import until

S = TypeVar("S", bound=StrEnum)
# Makes the call of the round on another thread.
Start = Callable[[], Future[requests.Response | None]]
# Builds of an organization a day: more than a round starts.
LIMIT = 1000
# Seconds: the longest delay before the service is killed at any moment, about as long as a request takes.
_LONGEST_DELAY = 0.4
# Seconds after which the next pod has completed what a crash left: the lease, and some runs of the reconciler.
_LONGEST_REPAIR = 2.0


@dataclass(frozen=True, slots=True)
class Crash(Generic[S]):
    """The step of the request at which the service is killed, and what else happens.

    `delay` is the waiting time at any moment in seconds. With `keyed` the request has an Idempotency-Key. With
    `orphans` the sessions of the killed service execute their last statements. With `late` the cause that delays the
    step stays until the next pod serves. With `finishes` the build ends when the service is killed. With `again` the
    next pod is killed, too, while it completes what the first one left.
    """

    number: int
    step: S
    delay: float
    keyed: bool
    orphans: bool
    late: bool
    finishes: bool
    again: bool

    @classmethod
    def drawn(cls, number: int, step: S, seed: int) -> Self:
        """The crash with this number, otherwise random: always the same for the same seed."""
        chance = random.Random(f"{seed}/{number}")  # noqa: S311 - a test's
        delay = chance.uniform(0, _LONGEST_DELAY)
        return cls(number, step, delay, *(chance.random() < 0.5 for _ in range(5)))

    def __str__(self) -> str:
        """The name of the round among the tests."""
        chosen = [name for name in ("keyed", "orphans", "late", "finishes", "again") if getattr(self, name)]
        return f"{self.number}: {self.step}, {' '.join(chosen) or 'nothing else'}"


def crashes(steps: Sequence[S], number: int, seed: int) -> list[Crash[S]]:
    """This number of rounds in random order: every step occurs before any step is repeated."""
    chance = random.Random(seed)  # noqa: S311 - a test's
    chosen = chain.from_iterable(chance.sample(kinds, len(kinds)) for kinds in cycle([list(steps)]))
    return [Crash.drawn(n, step, seed) for n, step in enumerate(islice(chosen, number))]


class Scene:
    """A database with gates at some tables, the stand-in composer, and pods that take over from each other."""

    def __init__(self, database: Parameters, composer: StandInComposer, relay: Relay) -> None:
        self.database = database
        self.composer = composer
        self._relay = relay

    @property
    def pod(self) -> Pod:
        """The serving pod."""
        return self._relay.serving

    def play(
        self,
        crash: Crash[S],
        call: Callable[[], requests.Response],
        reach: Callable[[Start, ExitStack], None],
        killed: Callable[[], None] = lambda: None,
    ) -> requests.Response | None:
        """Make the call, kill the pod when `reach` returns, and let the next pod serve.

        `reach` starts the call, and returns when it is at the step of the round; its `ExitStack` takes what keeps the
        call there. `killed` is called when the pod is gone. Returns the answer to the call if it had one.
        """
        answers: list[Future[requests.Response | None]] = []

        def start() -> Future[requests.Response | None]:
            answers.append(thread.submit(_try, call))
            return answers[0]

        with ThreadPoolExecutor(1) as thread, ExitStack() as holds:
            reach(start, holds)
            self.pod.kill()
            killed()
            if not crash.orphans:
                end_waiting_sessions(self.database)
            if not crash.late:
                holds.close()
            self._relay.hand_over()
        if crash.again:
            time.sleep(_LONGEST_REPAIR * crash.delay / _LONGEST_DELAY)
            self.pod.kill()
            self._relay.hand_over()
        return answers[0].result()

    def hang(self, holds: ExitStack, method: str, begin: Callable[[], object] = lambda: None) -> None:
        """Let all calls of the composer hang, call `begin`, and return when a call with this method hangs."""
        self.composer.steer(hang=True)
        holds.callback(self.composer.steer, hang=None)
        begin()
        until(lambda: asking(self.composer, method), "the composer is asked")


@contextmanager
def scene(database: Parameters, composer: StandInComposer, gates: Sequence[str], folder: Path) -> Iterator[Scene]:
    """A new scene with gates at these tables; `folder` is for small files."""
    for table in gates:
        add_gate(database, table)
    relay = Relay(database, composer.url, {**RECONCILING, **quotas(folder, LIMIT)})
    try:
        yield Scene(database, composer, relay)
    finally:
        relay.close()


def _try(call: Callable[[], requests.Response]) -> requests.Response | None:
    try:
        return call()
    except requests.RequestException:
        return None  # the pod was killed
