"""The request at hand, for what is logged and passed on about it, and for traces."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Trace:
    """`request_id` goes by x-rh-insights-request-id, `trace_id` by X-Strc-Trace-ID."""

    request_id: str
    trace_id: str


current_trace: ContextVar[Trace | None] = ContextVar("current_trace", default=None)


class CallSpan(Protocol):
    """A call of a back-end, as traces show it."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What goes along with the call, for the back-end's own spans (W3C Trace Context)."""

    def answered(self, status: int) -> None:
        """The back-end gave an answer."""


class Span(Protocol):
    """The request at hand, as traces show it."""

    def call(self, method: str, url: str) -> AbstractContextManager[CallSpan]:
        """A call made on its behalf, as long as the context lasts; an error that leaves the context is the call's."""


# None where no traces are kept.
current_span: ContextVar[Span | None] = ContextVar("current_span", default=None)
