"""The errors of the domain.

Only the presentation layer (`image_builder/http/errors.py`) maps each class to an HTTP status.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from domain.texts import MOST_LISTED


class ImageBuilderError(Exception):
    """Base of all errors whose text may be shown to the caller: `detail` contains no secret and no host name."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidRequestError(ImageBuilderError):
    """The request cannot be executed; `detail` names the field or value, and what was expected."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a document breaks: `title` names the rule, `detail` the entry of the document.

    `path` is that of the entry within the part of the document that the rule is about; empty for the whole.
    """

    title: str
    detail: str
    path: str = field(default="", compare=False)


class RulesViolatedError(ImageBuilderError):
    """The request is valid by openapi.yaml but breaks further rules.

    `violations` are the first MOST_LISTED violations; `total` is the number of all.
    """

    def __init__(self, violations: Iterable[Violation]) -> None:
        every = iter(violations)
        self.violations = tuple(islice(every, MOST_LISTED))
        self.total = len(self.violations) + sum(1 for _ in every)
        super().__init__("; ".join(violation.detail for violation in self.violations))


class CheckFailedError(RulesViolatedError):
    """The check of a request found problems that prevent the build, each of which is a violation."""


class NameTakenError(RulesViolatedError):
    """The tenant has another blueprint of this name."""

    def __init__(self) -> None:
        super().__init__((Violation("Name not unique", "A blueprint with the same name already exists."),))


class StaleVersionError(ImageBuilderError):
    """The caller wants to change a version that is not the latest."""


class UnauthenticatedError(ImageBuilderError):
    """The caller could not be identified."""


class ForbiddenError(ImageBuilderError):
    """The caller is identified but lacks the permission."""


class NotFoundError(ImageBuilderError):
    """The object does not exist, was deleted, or belongs to another tenant."""


class UnavailableError(ImageBuilderError):
    """The database or a back-end gives no usable answer now.

    A retry after `retry_after` seconds may succeed; None if an operator has to act first.
    """

    def __init__(self, detail: str, *, retry_after: int | None = 5) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class RateLimitedError(ImageBuilderError):
    """The organization made too many requests or started too many builds; it may retry after `retry_after` seconds."""

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class OutcomeUnknownError(UnavailableError):
    """The composer did not answer a request, which it may have carried out."""


class ReservationUnknownError(UnavailableError):
    """The database did not answer a reservation, which may have been recorded."""


class BuildIdTakenError(UnavailableError):
    """The composer answered with an id that belongs to another build in the history.

    It is unknown whether the composer started the new build, so its reservation stays.
    """

    def __init__(
        self,
        detail: str = "The composer answered with the id of another build; this build is not recorded, and counts "
        "towards the quota until the service knows whether it was started",
    ) -> None:
        super().__init__(detail, retry_after=None)


class ConflictError(ImageBuilderError):
    """The state of the object does not allow the request."""


class InProgressError(ImageBuilderError):
    """The same request has not ended or its outcome is unknown; the caller may retry after `retry_after` seconds."""

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class BuildRefusedError(ImageBuilderError):
    """The composer refused the build for a reason other than the caller's request."""


class ConfigurationError(ImageBuilderError):
    """The configuration is invalid; the service does not start with it."""
