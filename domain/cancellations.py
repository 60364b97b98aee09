"""Cancellations of builds (docs/operations.md, Cancelled builds)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from domain.failures import CANCELLED_ID, CANCELLED_REASON
from domain.status import BuildError, ComposeStatus, ImageStatus

# Keys of the details of a cancelled build's error, and fields of a build (openapi.yaml, schema ComposeStatus).
_CANCELLED_AT: Final = "cancelled_at"
_CANCELLED_BY: Final = "cancelled_by"


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The intent to cancel a build, recorded before the composer is asked to delete the build.

    `cancelled_by` is the name of the user, "" for unknown; `created_at` is UTC without a time zone.
    """

    id: UUID
    compose_id: UUID
    cancelled_by: str
    created_at: datetime

    @property
    def status(self) -> ComposeStatus:
        """The final status of the cancelled build; the details of its error say when and by whom it was cancelled."""
        details = {_CANCELLED_AT: f"{self.created_at.isoformat(timespec='seconds')}Z"}
        if self.cancelled_by:
            details[_CANCELLED_BY] = self.cancelled_by
        error = BuildError(CANCELLED_ID, CANCELLED_REASON, details)
        return ComposeStatus("failure", ImageStatus("failure", error=error))


def was_cancelled(status: ImageStatus) -> bool:
    """Whether a final status is that of a cancelled build."""
    return status.error is not None and status.error.id == CANCELLED_ID and status.error.reason == CANCELLED_REASON


def describe_cancellation(status: ImageStatus) -> dict[str, Any]:
    """Return `cancelled_at` (RFC 3339) and `cancelled_by` of a cancelled build, without unknown values; else `{}`."""
    details = status.error.details if status.error is not None and was_cancelled(status) else None
    if not isinstance(details, dict):
        return {}
    return {name: details[name] for name in (_CANCELLED_AT, _CANCELLED_BY) if isinstance(details.get(name), str)}
