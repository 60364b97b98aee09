"""The one place where errors become answers (contract: HTTPErrorList)."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import structlog
from starlette.exceptions import HTTPException

from domain import errors
from domain.quota import QuotaExceededError
from domain.texts import shortened
from image_builder.http.json_body import json_body
from image_builder.http.quota import builds_left
from image_builder.http.rate_limits import rate_limit_fields

log = structlog.get_logger()

# The most specific class comes first.
_STATUS: Final[tuple[tuple[type[errors.ImageBuilderError], HTTPStatus], ...]] = (
    (errors.InvalidRequestError, HTTPStatus.BAD_REQUEST),
    (errors.UnauthenticatedError, HTTPStatus.UNAUTHORIZED),
    (errors.ForbiddenError, HTTPStatus.FORBIDDEN),
    (errors.NotFoundError, HTTPStatus.NOT_FOUND),
    (errors.UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.StaleVersionError, HTTPStatus.PRECONDITION_FAILED),
    (errors.RulesViolatedError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.InProgressError, HTTPStatus.CONFLICT),
    (errors.RateLimitedError, HTTPStatus.TOO_MANY_REQUESTS),
    (errors.BuildRefusedError, HTTPStatus.INTERNAL_SERVER_ERROR),
    (errors.ConfigurationError, HTTPStatus.INTERNAL_SERVER_ERROR),
)

# A detail is for a person. The domain cuts its own; this bounds what a request or a back-end brings into any other.
_LONGEST_DETAIL: Final = 16_384

_SENTENCES: Final = {
    404: "There is no such resource in this API",
    405: "This resource does not take this method",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """An error answer: status, the sentence for the user, and headers besides the usual.

    `violations`, where there are any, are what is said in the place of the sentence.
    """

    status: int
    detail: str
    headers: dict[str, str] = field(default_factory=dict)
    violations: tuple[errors.Violation, ...] = ()

    @property
    def body(self) -> bytes:
        """The answer's body."""
        said = self.violations or (errors.Violation(str(self.status), self.detail),)
        return json_body(
            {"errors": [{"title": each.title, "detail": shortened(each.detail, _LONGEST_DETAIL)} for each in said]}
        )


class HttpError(Exception):
    """A refusal that only HTTP knows: media type, length, and the like."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.problem = Problem(status, detail, headers or {})


def problem_of(error: Exception) -> Problem:
    """What to answer for `error`; the unforeseen is logged and answered without a word about it."""
    if isinstance(error, HttpError):
        return error.problem
    if isinstance(error, HTTPException):
        sentence = _SENTENCES.get(error.status_code, HTTPStatus(error.status_code).phrase)
        return Problem(error.status_code, sentence, dict(error.headers or {}))
    if isinstance(error, errors.ImageBuilderError):
        return _foreseen(error)
    log.error("unforeseen error", exc_info=error)
    return Problem(500, "Something went wrong on our side")


def _foreseen(error: errors.ImageBuilderError) -> Problem:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        reason = shortened(error.detail, _LONGEST_DETAIL)
        log.warning("request failed", reason=reason, cause=type(error.__cause__).__name__)
    violations = _violations(error) if isinstance(error, errors.RulesViolatedError) else ()
    return Problem(status.value, error.detail, _headers(error), violations)


def _violations(error: errors.RulesViolatedError) -> tuple[errors.Violation, ...]:
    """Those that the error lists, and one entry more where it has counted more."""
    first = len(error.violations)
    if error.total == first:
        return error.violations
    return (
        *error.violations,
        errors.Violation("More violations", f"The blueprint breaks {error.total} rules; the first {first} are listed"),
    )


def _headers(error: errors.ImageBuilderError) -> dict[str, str]:
    if isinstance(error, QuotaExceededError):
        return rate_limit_fields(builds_left(error.allowance))
    waits = (errors.UnavailableError, errors.InProgressError, errors.RateLimitedError)
    if isinstance(error, waits) and error.retry_after is not None:
        return {"Retry-After": str(error.retry_after)}
    return {}
