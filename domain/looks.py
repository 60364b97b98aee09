"""Looks: readings of builds' statuses at the composer, and how often they are repeated (docs/operations.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.composes import LISTED_FOR
from domain.status import ComposeStatus

# Ages of a build, each with the pause between two looks at a younger build. An older build is not watched.
SCHEDULE: Final = (
    (timedelta(minutes=30), timedelta(seconds=10)),
    (timedelta(hours=2), timedelta(minutes=1)),
    (LISTED_FOR, timedelta(minutes=5)),
)
# A change of status between two looks is dated by the later one, if they are no further apart.
DATED_WITHIN: Final = timedelta(minutes=10)

# The status of an image whose build has not begun.
_WAITING: Final = "pending"


class LookOutcome(StrEnum):
    """The outcome of a look; the values are labels of metrics."""

    RUNNING = "running"
    FINAL = "final"
    # The composer does not know the build.
    FORGOTTEN = "forgotten"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class Look:
    """The composer's answer about a build; `status` is None where the composer does not know it.

    `age` is the time since the composer was asked.
    """

    compose_id: UUID
    status: ComposeStatus | None
    age: timedelta = timedelta(0)

    @property
    def outcome(self) -> LookOutcome:
        """The kind of answer."""
        if self.status is None:
            return LookOutcome.FORGOTTEN
        return LookOutcome.FINAL if self.status.is_final else LookOutcome.RUNNING

    @property
    def has_started(self) -> bool:
        """Whether the build is running or has ended."""
        return self.status is not None and self.status.image.status != _WAITING


@dataclass(frozen=True, slots=True)
class UnfinishedBuilds:
    """The watched builds without a final status.

    `counts` has their numbers by age, one for each age of SCHEDULE; `lag` is the time by which the look that is most
    overdue is late.
    """

    counts: tuple[int, ...]
    lag: timedelta
