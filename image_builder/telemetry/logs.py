"""The log on standard output: one JSON object per line, or lines for people on a terminal.

docs/operations.md describes it (Logs, traces, error reports).

Lines about a request hold its `request_id`, and `operation_id` and `org_id` once they are known. This holds for each
thread that works for the request, because threads run in copies of its context (`contextvars.copy_context().run`).
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
from structlog.typing import EventDict, Processor, WrappedLogger

from domain.nulls import without_nulls
from image_builder.telemetry.reports import report_tracebacks
from image_builder.telemetry.secrets import mask_secret_fields, mask_secrets
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
JSON: Final = "json"
CONSOLE: Final = "console"
FORMATS: Final = (JSON, CONSOLE)
# Requests of the command `demo` are logged at level DEBUG on a console.
DEMO_USER_AGENT: Final = "image-builder-demo"
# Characters, in UTF-8, that orjson does not escape although they may control the terminal of a reader: DEL, C1
# controls, line and paragraph separators, and characters that change the direction of writing.
_TERMINAL_CONTROLS: Final = re.compile(
    rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]",
)
# Control characters, and those above, in a text that the console shows as it is.
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# A traceback has several lines, and is shown as such.
_CONTROLS_OF_TRACEBACKS: Final = re.compile(_CONTROLS.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))

_is_console = False


def configure(level: str, log_format: str = "") -> None:
    """Configure the log of this process: structlog, the libraries' logging, warnings, and uncaught exceptions.

    `level` is a key of LEVELS in any case; any other text counts as INFO. `log_format` is one of FORMATS; with any
    other text, the format is `console` if standard output is a terminal, and `json` if not.
    """
    global _is_console  # noqa: PLW0603 - one per process, like its output
    _is_console = log_format == CONSOLE or (log_format != JSON and sys.stdout.isatty())
    lowest = LEVELS.get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            report_tracebacks,
            structlog.processors.format_exc_info,
            _without_nulls,
            mask_secret_fields,
            *(_console_renderers() if _is_console else _json_renderers()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=lambda *_: _Output(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_StructlogHandler()], level=max(lowest, logging.WARNING), force=True)
    # uvicorn reports at level INFO that processes start and end.
    logging.getLogger("uvicorn").setLevel(lowest)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_uncaught_in_thread


def is_console() -> bool:
    """Whether the log of this process is for people."""
    return _is_console


def bind(**fields: str) -> None:
    """Add fields to all later lines about the current request."""
    structlog.contextvars.bind_contextvars(**fields)


class _Output:
    """Writes each line as a whole. Errors are ignored: the service keeps running when its output is closed."""

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


class _StructlogHandler(logging.Handler):
    """Writes the libraries' log records with structlog, so that they have the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        # Some libraries have levels between the standard ones.
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        structlog.get_logger().log(level, text, logger=record.name, exc_info=record.exc_info or None)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger().critical("uncaught error", exc_info=(kind, error, trace))


def _log_unraisable(unraisable: Any) -> None:
    error = unraisable.exc_value or unraisable.exc_type()
    structlog.get_logger().error("uncaught error outside of a call", exc_info=error, where=repr(unraisable.object))


def _log_uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_type is SystemExit:
        return
    error = arguments.exc_value or arguments.exc_type()
    name = arguments.thread.name if arguments.thread is not None else None
    structlog.get_logger().error("uncaught error in a thread", exc_info=error, thread=name)


def _add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    trace = current_trace.get()
    if trace is not None:
        event["request_id"] = trace.request_id
    return event


def _without_nulls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return without_nulls(event)


def _json_renderers() -> list[Processor]:
    return [structlog.processors.JSONRenderer(serializer=_dumps), _finish_line]


def _console_renderers() -> list[Processor]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(),
        timestamp_key="time",
        exception_formatter=structlog.dev.plain_traceback,
    )
    return [_escape_controls, renderer, _finish_console_line]


def _escape_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape what would control the terminal. The renderer itself escapes what is not a string.

    Secrets are masked before: escaped ones would not be recognised.
    """
    for name, value in event.items():
        if isinstance(value, str):
            controls = _CONTROLS_OF_TRACEBACKS if name == "exception" else _CONTROLS
            masked = mask_secrets(_printable(value).encode()).decode()
            event[name] = controls.sub(lambda found: f"\\u{ord(found[0]):04x}", masked)
    return event


def _finish_console_line(_logger: WrappedLogger, _method: str, line: Any) -> bytes:
    return mask_secrets(_printable(line).encode()) + b"\n"


def _dumps(event: Any, **_: Any) -> bytes:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # such as lone surrogates
        return orjson.dumps({key: _printable(value) for key, value in event.items()})


def _printable(value: Any) -> str:
    return str(value).encode("utf-8", "backslashreplace").decode()


def _finish_line(_logger: WrappedLogger, _method: str, line: Any) -> bytes:
    return _TERMINAL_CONTROLS.sub(_escape, mask_secrets(line)) + b"\n"


def _escape(found: re.Match[bytes]) -> bytes:
    return f"\\u{ord(found[0].decode()):04x}".encode()
