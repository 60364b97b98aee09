"""The port of the intents to cancel builds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from domain.cancellations import Cancellation


class Cancellations(Protocol):
    """Intents to cancel builds, each recorded before the composer is asked. All methods raise UnavailableError.

    A build may have several intents, of requests that run at the same time or follow each other.
    """

    def record(self, intent_id: UUID, compose_id: UUID, cancelled_by: str) -> Cancellation | None:
        """Record an intent; returns None, and records nothing, if a final status of the build is stored.

        After an UnavailableError the intent may have been recorded.
        """

    def withdraw(self, intent_id: UUID) -> None:
        """Remove an intent, because the composer did not get the request to delete the build."""

    def find(self, compose_id: UUID) -> Cancellation | None:
        """Return the oldest intent to cancel this build, or None."""

    def find_abandoned(self, lease: timedelta, limit: int) -> Sequence[Cancellation]:
        """Return up to `limit` intents that were recorded, or last postponed, longer ago than the lease.

        Those that have waited for longest come first.
        """

    def postpone(self, intent_id: UUID) -> None:
        """Let the intent wait for another lease, because an attempt to complete it failed."""

    def remove_all(self, compose_id: UUID) -> None:
        """Remove all intents to cancel this build, because its final status is stored."""
