"""How a call of a back-end fails, and whether it is repeated."""

from __future__ import annotations

from collections.abc import Callable
from ssl import SSLCertVerificationError
from typing import Final

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from adapters.http.call_deadline import is_unsent
from ports.deadline import remaining_seconds

# Errors of urllib3 that occur before any byte of the request is sent.
_ERRORS_BEFORE_SENDING: Final = (NewConnectionError, ConnectTimeoutError, ProxyError)
# Seconds: after a longer Retry-After, the call is not repeated.
_MAX_RETRY_AFTER: Final = 1.0
# Seconds that must remain until the deadline for a further attempt, after the pause before it.
_MIN_ATTEMPT_SECONDS: Final = 0.1
# Seconds: the longest pause before a further attempt.
MAX_PAUSE: Final = 0.5
# Seconds: the longest random addition to a pause.
JITTER: Final = 0.1


class NoAnswerError(Exception):
    """The back-end gave no usable answer; `sent` says whether it may have received the request."""

    def __init__(self, back_end: str, *, sent: bool) -> None:
        super().__init__(f"{back_end} gives no usable answer")
        self.back_end = back_end
        self.sent = sent


class LateAnswerError(NoAnswerError):
    """The answer did not come in time."""


class OversizedAnswerError(NoAnswerError):
    """The answer is too large."""


class RetryableError(NoAnswerError):
    """No answer came, but another attempt may get one."""


class RetryAfterError(NoAnswerError):
    """The back-end answered 429; `seconds` is its Retry-After, None if it sent none."""

    def __init__(self, back_end: str, seconds: float | None) -> None:
        super().__init__(back_end, sent=True)
        self.seconds = seconds


def create_retry_policy() -> Callable[[Exception], bool | float]:
    """Create the function by which stamina decides on a retry after an error: yes, no, or the seconds to wait before.

    The call waits for a Retry-After of the back-end once; after a second 429 it is not repeated.
    """
    has_waited = False

    def decide(error: Exception) -> bool | float:
        nonlocal has_waited
        if isinstance(error, RetryAfterError):
            seconds = error.seconds
            if (
                has_waited
                or seconds is None
                or seconds > _MAX_RETRY_AFTER
                or remaining_seconds() < seconds + _MIN_ATTEMPT_SECONDS
            ):
                return False
            has_waited = True
            return seconds
        return isinstance(error, RetryableError) and remaining_seconds() > MAX_PAUSE + JITTER + _MIN_ATTEMPT_SECONDS

    return decide


def is_stalled_answer(error: requests.RequestException) -> bool:
    """Whether the answer began and then took too long: another attempt would probably take as long."""
    return bool(error.args) and isinstance(error.args[0], ReadTimeoutError)


def is_before_sending(error: requests.RequestException) -> bool:
    cause = error.args[0] if error.args else None
    if isinstance(cause, ProtocolError):
        return is_unsent(cause)
    if not isinstance(cause, MaxRetryError):
        return False
    reason = cause.reason
    # Errors of TLS other than an untrusted certificate may also occur while the answer is read.
    untrusted = isinstance(reason, SSLError) and any(isinstance(each, SSLCertVerificationError) for each in reason.args)
    return untrusted or isinstance(reason, _ERRORS_BEFORE_SENDING)
