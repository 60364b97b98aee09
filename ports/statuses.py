"""The port of the statuses that are known without asking the composer, and of the queue of looks at them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.composes import BuildTimes
from domain.looks import Look, UnfinishedBuilds


@dataclass(frozen=True, slots=True)
class HistoryPosition:
    """A place in the history, which is read from the oldest build to the newest."""

    created_at: datetime
    compose_id: UUID


class Statuses(Protocol):
    """Statuses of builds, with the time of the next look. All methods raise UnavailableError.

    A final status never changes: nothing that is stored later replaces it. A build is watched until it is final,
    forgotten, or older than `domain.looks.SCHEDULE`.
    """

    def store(self, look: Look) -> BuildTimes | None:
        """Store an answer of the composer; returns what is known of the build's times.

        Returns None where nothing is stored: a final status or a newer answer is stored already, or the history has no
        such build.
        """

    def find(self, compose_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """The known statuses of the images of these builds, such as `building`; builds without one are left out."""

    def acquire_leadership(self, pod: UUID, term: timedelta) -> bool:
        """Try to become or stay the only pod that watches, for the next `term`; returns whether it succeeded."""

    def watch_new(self, within: timedelta) -> None:
        """Watch the undeleted builds without a final status that were created within this time."""

    def watch_older(self, after: HistoryPosition | None, limit: int) -> HistoryPosition | None:
        """Do the same for the next `limit` builds behind this position, None for the oldest that are watched.

        Returns the position of the last of them, None at the end of the history.
        """

    def find_due(self, limit: int) -> Sequence[UUID]:
        """Up to `limit` builds whose look is due: tenants take turns, each with its most overdue build first."""

    def postpone(self, compose_id: UUID) -> None:
        """Postpone the look at a build by the pause of its age."""

    def end_watch(self, limit: int) -> None:
        """End the watch of up to `limit` builds that have become too old."""

    def count_unfinished(self) -> UnfinishedBuilds:
        """The builds that are watched now."""
