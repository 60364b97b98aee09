"""Ids of the current request for logs and calls of back-ends, and its span for traces."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Trace:
    """Ids of a request: `request_id` of the header x-rh-insights-request-id, `trace_id` of X-Strc-Trace-ID."""

    request_id: str
    trace_id: str


current_trace: ContextVar[Trace | None] = ContextVar("current_trace", default=None)


class CallSpan(Protocol):
    """The span of a call of a back-end."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers for the call, with which the back-end continues the trace (W3C Trace Context)."""

    def answered(self, status: int) -> None:
        """Record the HTTP status of the back-end's answer."""


class Span(Protocol):
    """The span of the current request."""

    def call(self, method: str, url: str) -> AbstractContextManager[CallSpan]:
        """Create the span of a call on behalf of the request; it ends with the context.

        An error that leaves the context is recorded as the call's error.
        """


# None if tracing is off.
current_span: ContextVar[Span | None] = ContextVar("current_span", default=None)
