"""Rounds in which clients start builds and something is cut down: what is cut, when, and what came of it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, cycle, islice
from typing import Self


class Step(StrEnum):
    """How far builds have come."""

    RESERVING = "while it is reserved"
    ASKING = "before the composer looks at it"
    BUILDING = "before the composer answers"
    RECORDING = "before its row is committed"
    COMMITTED = "after its row is committed and before the answer"
    ANSWERED = "as soon as it is answered"
    ANYTIME = "at any moment"


class Cut(StrEnum):
    """What is cut: the service by SIGKILL, PostgreSQL by an immediate shutdown."""

    SERVICE = "service"
    DATABASE = "database"
    BOTH = "both"

    @property
    def ends_the_service(self) -> bool:
        """Whether another pod has to take over."""
        return self is not Cut.DATABASE

    @property
    def ends_the_database(self) -> bool:
        """Whether PostgreSQL has to be started again."""
        return self is not Cut.SERVICE


# The service has to be stopped between a commit and an answer, so it is the service that is cut there.
_KINDS = [(step, cut) for step in Step for cut in Cut if step is not Step.COMMITTED or cut.ends_the_service]


@dataclass(frozen=True, slots=True)
class Round:
    """What is cut at which step, when clients have been `promised` so many builds.

    `delay` is how long to wait at any moment, `pause` how long PostgreSQL is down, both in seconds. The composer's
    answer takes `latency` seconds where it is waited for. With `late` what held a step up goes on doing so until all
    runs again. With `orphans` the sessions of a service that is gone do what they were told to last.
    """

    number: int
    step: Step
    cut: Cut
    promised: int
    delay: float
    pause: float
    latency: float
    late: bool
    orphans: bool

    @classmethod
    def drawn(cls, number: int, step: Step, cut: Cut, seed: int) -> Self:
        """The round of that number, the rest of it by chance: always the same for the same seed."""
        chance = random.Random(f"{seed}/{number}")  # noqa: S311 - a test's
        return cls(
            number,
            step,
            cut,
            promised=chance.randint(1, 6),
            delay=chance.uniform(0, 0.2),
            pause=chance.choice((0.0, 0.3)),
            latency=chance.choice((0.3, 3.0)),
            late=chance.random() < 0.5,
            orphans=chance.random() < 0.5,
        )

    def __str__(self) -> str:
        """Its name among the tests."""
        return f"{self.number}: {self.cut} {self.step}"


def rounds(number: int, seed: int) -> list[Round]:
    """So many rounds: every kind before any comes again, in an order by chance."""
    chance = random.Random(seed)  # noqa: S311 - a test's
    kinds = chain.from_iterable(chance.sample(kinds, len(kinds)) for kinds in cycle([_KINDS]))
    return [Round.drawn(n, step, cut, seed) for n, (step, cut) in enumerate(islice(kinds, number))]
