"""What the service reports of its work as it goes, to be counted."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from domain.composer_errors import Fault


class CallOutcome(StrEnum):
    """What became of a call of a back-end."""

    SUCCESS = "success"
    # An answer of 4xx, and one of 5xx.
    REFUSED = "refused"
    FAILED = "failed"
    LATE = "late"
    NO_ANSWER = "no_answer"
    # Not made at all: the back-end is left alone for a while.
    TURNED_AWAY = "turned_away"

    @classmethod
    def of(cls, status: int) -> CallOutcome:
        """What an answer's status makes of a call."""
        if status < 400:
            return cls.SUCCESS
        return cls.REFUSED if status < 500 else cls.FAILED


class Meter(Protocol):
    """Every method returns at once."""

    def back_end_called(self, back_end: str, outcome: CallOutcome, seconds: float) -> None:
        """A call of a back-end ended."""

    def quota_refused(self) -> None:
        """Builds were refused because a tenant's quota leaves fewer."""

    def build_refused(self, fault: Fault) -> None:
        """The composer refused a build."""

    def rate_limited(self, budget: str) -> None:
        """A request was refused because a tenant has used up a budget (one of a few names) of requests."""

    def rate_limit_store_away(self) -> None:
        """A request passed uncounted because the shared store of rate limits could not be asked."""

    def starts_unmatched(self, number: int) -> None:
        """There are so many starts that a crash cut short or the composer did not answer, in all of the database.

        The latest number stands, whichever process reported it.
        """

    def starts_looked_after(self) -> None:
        """Somebody has tried to find out what became of them, and the composer could be asked."""

    def starts_adopted(self, number: int = 1) -> None:
        """Starts that a crash cut short were found to be builds, and became composes."""

    def starts_released(self, number: int = 1) -> None:
        """Starts that a crash cut short were found to be no builds, and count no more."""

    def build_id_conflicted(self) -> None:
        """The composer named a new build with the id of another one."""


class _Silent:
    def back_end_called(self, back_end: str, outcome: CallOutcome, seconds: float) -> None:
        pass

    def quota_refused(self) -> None:
        pass

    def build_refused(self, fault: Fault) -> None:
        pass

    def rate_limited(self, budget: str) -> None:
        pass

    def rate_limit_store_away(self) -> None:
        pass

    def starts_unmatched(self, number: int) -> None:
        pass

    def starts_looked_after(self) -> None:
        pass

    def starts_adopted(self, number: int = 1) -> None:
        pass

    def starts_released(self, number: int = 1) -> None:
        pass

    def build_id_conflicted(self) -> None:
        pass


# Where nobody counts.
SILENT: Meter = _Silent()
