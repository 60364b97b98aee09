"""The port of the intents to cancel builds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from domain.cancellations import Cancellation


class Cancellations(Protocol):
    """Intents to cancel builds, each recorded before the composer is asked. All methods raise UnavailableError."""

    def record(self, id: UUID, compose_id: UUID, cancelled_by: str) -> Cancellation | None:  # noqa: A002 - of the intent
        """Record an intent; None, and nothing is recorded, where the final status of the build is stored."""

    def withdraw(self, id: UUID) -> None:  # noqa: A002 - of the intent
        """Remove an intent that the composer did not get to know."""

    def find(self, compose_id: UUID) -> Cancellation | None:
        """The oldest intent to cancel this build."""

    def find_abandoned(self, lease: timedelta, limit: int) -> Sequence[Cancellation]:
        """Up to `limit` intents that are older than the lease, oldest first."""

    def end(self, compose_id: UUID) -> None:
        """Remove all intents to cancel this build, because its final status is stored."""
