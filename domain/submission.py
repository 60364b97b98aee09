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
from domain.status import limit_details
from domain.texts import shorten

# Ids of composer errors for which clients expect the texts of the Go service: a fixed text for the first one, the
# reason without details for the others.
_OSTREE: Final = "10"
_REASON_WITHOUT_DETAILS: Final = frozenset({"24", "29"})
# The number of characters of the composer's text that are shown; ids of started builds may follow it.
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

    `error_id` and `reason` are None if the answer did not come from the composer. It is certain that no build has
    started only if they are set or the status is 4xx.
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
        """Who must act after the refusal."""
        return classify_error(self.status, self.error_id)

    def error(self) -> ImageBuilderError:
        """Return the error for the caller.

        It is an InvalidRequestError if the caller's request caused it, otherwise a BuildRefusedError.
        """
        if self.fault is Fault.USER:
            return InvalidRequestError(self._reason_for_user() or _UNEXPLAINED)
        return BuildRefusedError(" ".join(part for part in (_FAILED, self._explanation()) if part))

    def _reason_for_user(self) -> str:
        if self.error_id == _OSTREE:
            return "Error resolving OSTree repo"
        if self.error_id in _REASON_WITHOUT_DETAILS:
            return shorten(self.reason or "", _LONGEST)
        return self._explanation()

    def _explanation(self) -> str:
        """Return `<reason>: <details>`, or only the part that is set."""
        parts = [self.reason or ""]
        if self.reason is not None and self.details is not None:
            details = limit_details(self.details)
            parts.append(details if isinstance(details, str) else json.dumps(details, ensure_ascii=False))
        return shorten(": ".join(filter(None, parts)), _LONGEST)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No usable answer; `may_have_started` is True if the request may have reached the composer."""

    may_have_started: bool

    def error(self) -> ImageBuilderError:
        """Return the error for the caller."""
        if self.may_have_started:
            return UnavailableError(
                "The composer does not answer, and it is not known yet whether the build was queued"
            )
        return UnavailableError("The composer does not answer, the build was not queued")


def name_started_builds(error: Exception, started: Sequence[UUID]) -> Exception:
    """Return a copy of the error that ended the start of several builds.

    Its text lists the builds that had `started`.
    """
    if not started:
        return error
    result = (
        copy(error) if isinstance(error, ImageBuilderError) else BuildRefusedError("Something went wrong on our side")
    )
    result.detail = f"{result.detail} (started before: {', '.join(str(each) for each in started)})"
    result.__cause__ = error
    return result


Submission = Accepted | Refused | Unanswered
