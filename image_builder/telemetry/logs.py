"""One JSON object a line on standard output (spec: Running it, Logs).

Lines of a request hold its `request_id`, and as soon as they are known `operation_id` and `org_id`: in each thread that
works at it, because contexts are handed on (`contextvars.copy_context().run`).
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from types import TracebackType
from typing import Any, BinaryIO, Final

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from domain.nulls import without_nulls
from image_builder.telemetry.reports import report_tracebacks
from image_builder.telemetry.secrets import masked, without_secrets
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
# In UTF-8: what orjson writes as it is although it may steer the terminal of the log's reader, namely DEL, C1,
# separators of lines and paragraphs, and characters that change the direction of writing.
_STEERING: Final = re.compile(
    rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]",
)


def configure(level: str) -> None:
    """Set up structlog, the libraries' own logging, warnings, and what becomes of errors that nobody caught.

    For this process. An unknown `level` counts as INFO.
    """
    lowest = LEVELS.get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            report_tracebacks,
            structlog.processors.format_exc_info,
            _without_nulls,
            without_secrets,
            structlog.processors.JSONRenderer(serializer=_dumps),
            _as_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=lambda *_: _Output(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_ToStructlog()], level=max(lowest, logging.WARNING), force=True)
    # What the server says of processes that start and end.
    logging.getLogger("uvicorn").setLevel(lowest)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _uncaught_in_thread


def bind(**fields: str) -> None:
    """Have all further lines of the request at hand hold `fields`."""
    structlog.contextvars.bind_contextvars(**fields)


class _Output:
    """Writes lines whole. That nobody takes them any more is no reason to fail."""

    _lock: Final = threading.Lock()

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def msg(self, line: bytes) -> None:
        """Write one line."""
        try:
            with self._lock:
                self._file.write(line)
                self._file.flush()
        except (OSError, ValueError):
            return

    log = debug = info = warn = warning = error = err = critical = fatal = exception = msg


class _ToStructlog(logging.Handler):
    """Lines of the libraries, in the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        # Some have levels of their own.
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        structlog.get_logger().log(level, text, logger=record.name, exc_info=record.exc_info or None)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger().critical("uncaught error", exc_info=(kind, error, trace))


def _unraisable(unraisable: Any) -> None:
    error = unraisable.exc_value or unraisable.exc_type()
    structlog.get_logger().error("error that could not be raised", exc_info=error, where=repr(unraisable.object))


def _uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_type is SystemExit:
        return
    error = arguments.exc_value or arguments.exc_type()
    name = arguments.thread.name if arguments.thread is not None else None
    structlog.get_logger().error("uncaught error in a thread", exc_info=error, thread=name)


def _request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    trace = current_trace.get()
    if trace is not None:
        event["request_id"] = trace.request_id
    return event


def _without_nulls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return without_nulls(event)


def _dumps(event: Any, **_: Any) -> bytes:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # such as lone surrogates
        return orjson.dumps({key: _printable(value) for key, value in event.items()})


def _printable(value: Any) -> str:
    return str(value).encode("utf-8", "backslashreplace").decode()


def _as_line(_logger: WrappedLogger, _method: str, line: Any) -> bytes:
    return _STEERING.sub(_escape, masked(line)) + b"\n"


def _escape(found: re.Match[bytes]) -> bytes:
    return f"\\u{ord(found[0].decode()):04x}".encode()
