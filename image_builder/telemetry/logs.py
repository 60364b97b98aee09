"""One JSON object a line on standard output."""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from ports.trace import current_trace

LEVELS: Final = {
    "TRACE": logging.DEBUG,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
    "CRITICAL": logging.CRITICAL,
}


def configure(level: str) -> None:
    """Set up structlog, and the libraries' own logging, for this process; an unknown `level` counts as INFO."""
    lowest = LEVELS.get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            _request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            _without_nothing,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_ToStructlog()], level=max(lowest, logging.WARNING), force=True)


class _ToStructlog(logging.Handler):
    """Lines of the libraries, in the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info or None
        )


def _request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    trace = current_trace.get()
    if trace is not None:
        event["request_id"] = trace.request_id
    return event


def _without_nothing(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: value for key, value in event.items() if value is not None}


def _dumps(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=str)
