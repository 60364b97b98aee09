"""The request at hand, for what is logged and passed on about it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trace:
    """`request_id` goes by x-rh-insights-request-id, `trace_id` by X-Strc-Trace-ID."""

    request_id: str
    trace_id: str


current_trace: ContextVar[Trace | None] = ContextVar("current_trace", default=None)
