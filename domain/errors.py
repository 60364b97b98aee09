"""Every way in which the service says no, in the domain's terms.

The presentation layer turns each class into one HTTP status; nothing else in the service knows about statuses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from domain.texts import MOST_LISTED


class ImageBuilderError(Exception):
    """Base of all errors whose text may be shown to the caller: `detail` holds no secret and no host name."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidRequestError(ImageBuilderError):
    """The request cannot be carried out as it stands; `detail` names the field or thing and what was expected."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a document breaks: `title` is the rule's own, `detail` names the entry."""

    title: str
    detail: str


class RulesViolatedError(ImageBuilderError):
    """The request fits the contract and breaks rules beyond it.

    `violations` are the first of them, at most MOST_LISTED; `total` is how many there are.
    """

    def __init__(self, violations: Iterable[Violation]) -> None:
        every = iter(violations)
        self.violations = tuple(islice(every, MOST_LISTED))
        self.total = len(self.violations) + sum(1 for _ in every)
        super().__init__("; ".join(violation.detail for violation in self.violations))


class StaleVersionError(ImageBuilderError):
    """The caller wants to change another version than the one in force."""


class UnauthenticatedError(ImageBuilderError):
    """Nobody, or nobody we can tell, asks."""


class ForbiddenError(ImageBuilderError):
    """We know who asks, and they may not."""


class NotFoundError(ImageBuilderError):
    """There is no such thing for this tenant: unknown, deleted, or another tenant's."""


class UnavailableError(ImageBuilderError):
    """Something we depend on gives no usable answer now.

    Asking again after `retry_after` seconds may help; None where it will not, until an operator does something.
    """

    def __init__(self, detail: str, *, retry_after: int | None = 5) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class RateLimitedError(ImageBuilderError):
    """The organization has made too many requests, or started too many builds; in `retry_after` seconds it may."""

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class ReservationUnknownError(UnavailableError):
    """The database did not answer a reservation: it may have been recorded."""


class BuildIdTakenError(UnavailableError):
    """The composer named a new build with the id of another build, which the history has.

    It is unknown whether the composer started the new build, so its reservation stays.
    """

    def __init__(
        self,
        detail: str = "The composer answered with the id of another build; this build is not recorded, and counts "
        "towards the quota until the service knows whether it was started",
    ) -> None:
        super().__init__(detail, retry_after=None)


class InProgressError(ImageBuilderError):
    """The same request is being carried out, or nobody knows yet what came of it; in `retry_after` seconds maybe."""

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class BuildRefusedError(ImageBuilderError):
    """The composer answered, and refused the build for a reason that is not the caller's request."""


class ConfigurationError(ImageBuilderError):
    """Something an operator set up cannot be used; at start it stops the start."""
