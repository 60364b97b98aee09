"""Rounds in which clients start builds and something is killed: what, when, and the result."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, cycle, islice
from typing import Self


class Step(StrEnum):
    """The step that builds have reached."""

    RESERVING = "while it is reserved"
    ASKING = "before the composer looks at it"
    BUILDING = "before the composer answers"
    RECORDING = "before its row is committed"
    COMMITTED = "after its row is committed and before the answer"
    ANSWERED = "as soon as it is answered"
    ANYTIME = "at any moment"


class Cut(StrEnum):
    """The killed part: the service by SIGKILL, or PostgreSQL by an immediate shutdown."""

    SERVICE = "service"
    DATABASE = "database"
    BOTH = "both"

    @property
    def ends_the_service(self) -> bool:
        """Whether another pod must take over."""
        return self is not Cut.DATABASE

    @property
    def ends_the_database(self) -> bool:
        """Whether PostgreSQL must be started again."""
        return self is not Cut.SERVICE


# The service has to be stopped between a commit and an answer, so it is the service that is cut there.
_KINDS = [(step, cut) for step in Step for cut in Cut if step is not Step.COMMITTED or cut.ends_the_service]


@dataclass(frozen=True, slots=True)
class Round:
    """The part that is killed, the step at which it is killed, and how many builds clients have been `promised` then.

    `delay` is the waiting time at any moment, `pause` the downtime of PostgreSQL, both in seconds. The composer's
    answer takes `latency` seconds where a test waits for it. With `late` the cause that delays a step stays until
    everything runs again. With `orphans` the sessions of a killed service execute their last statements.
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
        """The round with this number, otherwise random: always the same for the same seed."""
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
        """The name of the round among the tests."""
        return f"{self.number}: {self.cut} {self.step}"


def rounds(number: int, seed: int) -> list[Round]:
    """This number of rounds in random order: every kind occurs before any kind is repeated."""
    chance = random.Random(seed)  # noqa: S311 - a test's
    kinds = chain.from_iterable(chance.sample(kinds, len(kinds)) for kinds in cycle([_KINDS]))
    return [Round.drawn(n, step, cut, seed) for n, (step, cut) in enumerate(islice(kinds, number))]
