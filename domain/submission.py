"""What came of handing a build to the composer (contract: composer v2, Error)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from domain.errors import BuildRefusedError, ImageBuilderError, InvalidRequestError, UnavailableError
from domain.status import bounded_details
from domain.texts import shortened

_OSTREE: Final = "10"
_REQUEST_AT_FAULT: Final = frozenset({"24", "29"})
# Characters of what the composer says; ids of builds that were started come behind it.
_LONGEST: Final = 10_000
_FAILED: Final = "Failed posting compose request to osbuild-composer."


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

    def error(self) -> ImageBuilderError:
        """The caller's view of the refusal."""
        if self.error_id == _OSTREE:
            return InvalidRequestError("Error resolving OSTree repo")
        if self.error_id in _REQUEST_AT_FAULT and self.reason is not None:
            return InvalidRequestError(shortened(self.reason, _LONGEST))
        return BuildRefusedError(" ".join(part for part in (_FAILED, self._explanation()) if part))

    def _explanation(self) -> str:
        if self.reason is None or self.details in (None, ""):
            return shortened(self.reason or "", _LONGEST)
        details = bounded_details(self.details)
        text = details if isinstance(details, str) else json.dumps(details, ensure_ascii=False)
        return shortened(f"{self.reason}: {text}", _LONGEST)


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
