"""Turns errors into answers (openapi.yaml, schema HTTPErrorList); no other module does."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import structlog
from starlette.exceptions import HTTPException

from domain import errors
from domain.quota import QuotaExceededError
from domain.texts import shorten
from image_builder.http.json_body import encode_json_body
from image_builder.http.quota import to_rate_limit
from image_builder.http.rate_limits import format_rate_limits

log = structlog.get_logger()

# The status of each kind of error; the first class that fits counts.
_STATUS: Final[tuple[tuple[type[errors.ImageBuilderError], HTTPStatus], ...]] = (
    (errors.InvalidRequestError, HTTPStatus.BAD_REQUEST),
    (errors.UnauthenticatedError, HTTPStatus.UNAUTHORIZED),
    (errors.ForbiddenError, HTTPStatus.FORBIDDEN),
    (errors.NotFoundError, HTTPStatus.NOT_FOUND),
    (errors.UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.StaleVersionError, HTTPStatus.PRECONDITION_FAILED),
    (errors.RulesViolatedError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.InProgressError, HTTPStatus.CONFLICT),
    (errors.ConflictError, HTTPStatus.CONFLICT),
    (errors.RateLimitedError, HTTPStatus.TOO_MANY_REQUESTS),
    (errors.BuildRefusedError, HTTPStatus.INTERNAL_SERVER_ERROR),
    (errors.ConfigurationError, HTTPStatus.INTERNAL_SERVER_ERROR),
)

# Characters of an error's detail, which may contain a long text of a request or a back-end.
_MAX_DETAIL_LENGTH: Final = 16_384

# The details of errors of Starlette, by status.
_DETAILS: Final = {
    404: "There is no such resource in this API",
    405: "This resource does not take this method",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """An error answer: its status, a sentence for the user, and additional headers.

    `violations`, unless empty, replace the sentence: each becomes an entry of the list of errors.
    """

    status: int
    detail: str
    headers: dict[str, str] = field(default_factory=dict)
    violations: tuple[errors.Violation, ...] = ()

    @property
    def body(self) -> bytes:
        """The body of the answer, as JSON."""
        entries = self.violations or (errors.Violation(str(self.status), self.detail),)
        errors_list = [{"title": each.title, "detail": shorten(each.detail, _MAX_DETAIL_LENGTH)} for each in entries]
        return encode_json_body({"errors": errors_list})


class HttpError(Exception):
    """An error that concerns HTTP only, such as an unsupported media type or a body that is too large."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.problem = Problem(status, detail, headers or {})


def to_problem(error: Exception) -> Problem:
    """Return the answer for an error. An unforeseen error is logged, and its answer gives no details."""
    if isinstance(error, HttpError):
        return error.problem
    if isinstance(error, HTTPException):
        detail = _DETAILS.get(error.status_code, HTTPStatus(error.status_code).phrase)
        return Problem(error.status_code, detail, dict(error.headers or {}))
    if isinstance(error, errors.ImageBuilderError):
        return _to_domain_problem(error)
    log.error("unforeseen error", exc_info=error)
    return Problem(500, "Something went wrong on our side")


def _to_domain_problem(error: errors.ImageBuilderError) -> Problem:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        reason = shorten(error.detail, _MAX_DETAIL_LENGTH)
        log.warning("request failed", reason=reason, cause=type(error.__cause__).__name__)
    violations = _violations(error) if isinstance(error, errors.RulesViolatedError) else ()
    return Problem(status.value, error.detail, _headers(error), violations)


def _violations(error: errors.RulesViolatedError) -> tuple[errors.Violation, ...]:
    """Return the violations that the error lists, and an entry with their number if it counted more."""
    listed = len(error.violations)
    if error.total == listed:
        return error.violations
    is_check = isinstance(error, errors.CheckFailedError)
    count = f"The check found {error.total} errors" if is_check else f"The blueprint breaks {error.total} rules"
    return (*error.violations, errors.Violation("More violations", f"{count}; the first {listed} are listed"))


def _headers(error: errors.ImageBuilderError) -> dict[str, str]:
    if isinstance(error, QuotaExceededError):
        return format_rate_limits(to_rate_limit(error.allowance))
    retryable = (errors.UnavailableError, errors.InProgressError, errors.RateLimitedError)
    if isinstance(error, retryable) and error.retry_after is not None:
        return {"Retry-After": str(error.retry_after)}
    return {}
