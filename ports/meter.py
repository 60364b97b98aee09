"""The port of metrics that use cases and adapters report."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from domain.composer_errors import Fault
from domain.looks import LookOutcome, UnfinishedBuilds


class CallOutcome(StrEnum):
    """The outcome of a call of a back-end; the values are labels of metrics."""

    SUCCESS = "success"
    # An answer with status 4xx.
    REFUSED = "refused"
    # An answer with status 5xx.
    FAILED = "failed"
    LATE = "late"
    NO_ANSWER = "no_answer"
    # The circuit breaker was open, so that no call was made.
    TURNED_AWAY = "turned_away"

    @classmethod
    def of(cls, status: int) -> CallOutcome:
        """The outcome of a call that was answered with this HTTP status."""
        if status < 400:
            return cls.SUCCESS
        return cls.REFUSED if status < 500 else cls.FAILED


class Meter(Protocol):
    """Counts events; every method returns at once."""

    def back_end_called(self, back_end: str, outcome: CallOutcome, seconds: float) -> None:
        """A call of a back-end ended."""

    def quota_refused(self) -> None:
        """Builds were refused because they exceed the tenant's quota."""

    def build_refused(self, fault: Fault) -> None:
        """The composer refused a build."""

    def rate_limited(self, budget: str) -> None:
        """A request was refused because of a rate limit; `budget` is the value of a `domain.budgets.Budget`."""

    def rate_limit_store_unavailable(self) -> None:
        """A request was admitted uncounted because the shared storage of rate limits is unavailable."""

    def starts_unmatched(self, number: int) -> None:
        """The number of abandoned starts in the whole database.

        Each report replaces the one before it, also of another process.
        """

    def reconciliation_completed(self) -> None:
        """A run of the reconciler ended in which the composer, if asked, answered."""

    def starts_adopted(self, number: int = 1) -> None:
        """Abandoned starts were matched with builds, and became composes."""

    def starts_released(self, number: int = 1) -> None:
        """Abandoned starts had no build, and were released."""

    def build_id_conflicted(self) -> None:
        """The composer answered a submission with the id of another build."""

    def status_looked(self, outcome: LookOutcome) -> None:
        """The composer was asked for the status of a build, by the status watcher or for a request."""

    def builds_unfinished(self, builds: UnfinishedBuilds) -> None:
        """The watched builds of the whole database; replaces earlier reports, also of other processes."""

    def status_watch_completed(self) -> None:
        """A round of the status watcher ended in which the composer, if asked, answered; or the watcher started."""


class _NullMeter:
    def back_end_called(self, back_end: str, outcome: CallOutcome, seconds: float) -> None:
        pass

    def quota_refused(self) -> None:
        pass

    def build_refused(self, fault: Fault) -> None:
        pass

    def rate_limited(self, budget: str) -> None:
        pass

    def rate_limit_store_unavailable(self) -> None:
        pass

    def starts_unmatched(self, number: int) -> None:
        pass

    def reconciliation_completed(self) -> None:
        pass

    def starts_adopted(self, number: int = 1) -> None:
        pass

    def starts_released(self, number: int = 1) -> None:
        pass

    def build_id_conflicted(self) -> None:
        pass

    def status_looked(self, outcome: LookOutcome) -> None:
        pass

    def builds_unfinished(self, builds: UnfinishedBuilds) -> None:
        pass

    def status_watch_completed(self) -> None:
        pass


# A meter that counts nothing.
NULL_METER: Meter = _NullMeter()
