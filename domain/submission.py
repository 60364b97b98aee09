"""The outcome of submitting a build to the composer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from domain.composer_errors import Fault, classify_error
from domain.errors import BuildRefusedError, ImageBuilderError, InvalidRequestError, UnavailableError
from domain.status import bounded_details
from domain.texts import shortened

# Ids of composer errors for which clients expect the texts of the Go service: one has a text of its own, the others are
# shown without details.
_OSTREE: Final = "10"
_REASON_ALONE: Final = frozenset({"24", "29"})
# Characters of the composer's text that are shown; ids of started builds may follow it.
_LONGEST: Final = 10_000
_FAILED: Final = "Failed posting compose request to osbuild-composer."
_UNEXPLAINED: Final = "The composer refused the request without a reason"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The composer accepted the build, with this id."""

    id: UUID


@dataclass(frozen=True, slots=True)
class Refused:
    """The composer, or a proxy in front of it, answered with an error.

    `error_id` and `reason` are None unless the answer is the composer's own. A build is certain not to have started
    only if they are set, or for a status 4xx.
    """

    status: int
    error_id: str | None = None
    reason: str | None = None
    details: Any = None

    @property
    def may_have_started(self) -> bool:
        """Whether the composer may be building in spite of the error."""
        return self.reason is None and not 400 <= self.status < 500

    @property
    def fault(self) -> Fault:
        """Who caused the refusal."""
        return classify_error(self.status, self.error_id)

    def error(self) -> ImageBuilderError:
        """The error for the caller: InvalidRequestError if the caller's request caused it, else BuildRefusedError."""
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
        """`<reason>: <details>`, or the one of them that is set."""
        parts = [self.reason or ""]
        if self.reason is not None and self.details is not None:
            details = bounded_details(self.details)
            parts.append(details if isinstance(details, str) else json.dumps(details, ensure_ascii=False))
        return shortened(": ".join(filter(None, parts)), _LONGEST)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No usable answer; `may_have_started` is True where the request may have reached the composer."""

    may_have_started: bool

    def error(self) -> ImageBuilderError:
        """The error for the caller."""
        if self.may_have_started:
            return UnavailableError(
                "The composer does not answer, and it is not known yet whether the build was queued"
            )
        return UnavailableError("The composer does not answer, the build was not queued")


def name_started_builds(error: Exception, started: Sequence[UUID]) -> Exception:
    """A copy of the error that ended the start of several builds; its text lists the builds that had `started`."""
    if not started:
        return error
    named = (
        copy(error) if isinstance(error, ImageBuilderError) else BuildRefusedError("Something went wrong on our side")
    )
    named.detail = f"{named.detail} (started before: {', '.join(str(each) for each in started)})"
    named.__cause__ = error
    return named


Submission = Accepted | Refused | Unanswered
