"""What came of handing a build to the composer (contract: composer v2, Error)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from domain.composer_errors import Fault, fault_of_refusal
from domain.errors import BuildRefusedError, ImageBuilderError, InvalidRequestError, UnavailableError
from domain.status import bounded_details
from domain.texts import shortened

# Errors that clients know by the texts they have always had: one of its own, and those without details.
_OSTREE: Final = "10"
_REASON_ALONE: Final = frozenset({"24", "29"})
# Characters of what the composer says; ids of builds that were started come behind it.
_LONGEST: Final = 10_000
_FAILED: Final = "Failed posting compose request to osbuild-composer."
_UNEXPLAINED: Final = "The composer refused the request without a reason"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The composer builds it, under this id."""

    id: UUID


@dataclass(frozen=True, slots=True)
class Refused:
    """The composer, or something in front of it, answered with an error.

    `error_id` and `reason` are None unless the answer is the composer's own; only then, or for a 4xx, is it
    certain that nothing was started.
    """

    status: int
    error_id: str | None = None
    reason: str | None = None
    details: Any = None

    @property
    def may_have_started(self) -> bool:
        """Whether the composer may build it all the same."""
        return self.reason is None and not 400 <= self.status < 500

    @property
    def fault(self) -> Fault:
        """Whose fault it is."""
        return fault_of_refusal(self.status, self.error_id)

    def error(self) -> ImageBuilderError:
        """The caller's view of the refusal: InvalidRequestError for the user's fault, else BuildRefusedError."""
        if self.fault is Fault.USER:
            return InvalidRequestError(self._reason_for_user() or _UNEXPLAINED)
        return BuildRefusedError(" ".join(part for part in (_FAILED, self._explanation()) if part))

    def _reason_for_user(self) -> str:
        if self.error_id == _OSTREE:
            return "Error resolving OSTree repo"
        if self.error_id in _REASON_ALONE:
            return shortened(self.reason or "", _LONGEST)
        return self._explanation()

    def _explanation(self) -> str:
        """`<reason>: <details>`, or the one of them that there is."""
        parts = [self.reason or ""]
        if self.reason is not None and self.details is not None:
            details = bounded_details(self.details)
            parts.append(details if isinstance(details, str) else json.dumps(details, ensure_ascii=False))
        return shortened(": ".join(filter(None, parts)), _LONGEST)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No usable answer; `may_have_started` where the request may have reached the composer."""

    may_have_started: bool

    def error(self) -> ImageBuilderError:
        """The caller's view of the silence."""
        if self.may_have_started:
            return UnavailableError("The composer does not answer, and nobody knows yet whether the build was queued")
        return UnavailableError("The composer does not answer, the build was not queued")


def part_way(error: Exception, started: Sequence[UUID]) -> Exception:
    """The error that ended the start of several builds, naming those that had `started` all the same."""
    if not started:
        return error
    named = (
        copy(error) if isinstance(error, ImageBuilderError) else BuildRefusedError("Something went wrong on our side")
    )
    named.detail = f"{named.detail} (started before: {', '.join(str(each) for each in started)})"
    named.__cause__ = error
    return named


Submission = Accepted | Refused | Unanswered
