"""Cancellations of builds (docs/operations.md, Cancelled builds)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.failures import CANCELLED_ID, CANCELLED_REASON
from domain.status import BuildError, ComposeStatus, ImageStatus


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The intent to cancel a build.

    `cancelled_by` is the user, empty for unknown; `created_at` is UTC without a time zone.
    """

    id: UUID
    compose_id: UUID
    cancelled_by: str
    created_at: datetime

    @property
    def status(self) -> ComposeStatus:
        """The final status of the cancelled build."""
        details = {"cancelled_at": f"{self.created_at.isoformat(timespec='seconds')}Z"}
        if self.cancelled_by:
            details["cancelled_by"] = self.cancelled_by
        error = BuildError(CANCELLED_ID, CANCELLED_REASON, details)
        return ComposeStatus("failure", ImageStatus("failure", error=error))


def was_cancelled(status: ImageStatus) -> bool:
    """Whether a final status is that of a cancelled build."""
    return status.error is not None and status.error.id == CANCELLED_ID and status.error.reason == CANCELLED_REASON
