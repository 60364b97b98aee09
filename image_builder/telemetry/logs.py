"""The log on standard output: one JSON object per line, or text for people to read on a terminal (the console format).

docs/operations.md describes it (Logs, traces, error reports).

Lines about a request contain its `request_id`, and also `operation_id` and `org_id` as soon as they are known. That
includes lines from other threads that work for the request: such a thread must run in a copy of the request's context
(`contextvars.copy_context().run`).
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

# Values of the setting LOG_LEVEL; several names may mean the same level.
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
# Values of the setting LOG_FORMAT.
JSON: Final = "json"
CONSOLE: Final = "console"
FORMATS: Final = (JSON, CONSOLE)
# The command `demo` sends this header. In the console format its requests are logged at level DEBUG only, because they
# would hide other lines.
DEMO_USER_AGENT: Final = "image-builder-demo"
# Characters, encoded as UTF-8, that orjson does not escape although they may control a terminal that shows the log:
# DEL, C1 controls, line and paragraph separators, and characters that change the direction of writing.
_CONTROLS_IN_JSON: Final = re.compile(
    rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]",
)
# The same characters and the C0 controls, in texts. The console format does not escape any of them by itself.
_CONTROLS_IN_TEXT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# The line feeds of a traceback are not escaped, so that it is shown on several lines.
_CONTROLS_IN_TRACEBACK: Final = re.compile(_CONTROLS_IN_TEXT.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))

_is_console = False


def configure(level: str, log_format: str = "") -> None:
    """Configure the log of this process: structlog, the libraries' logging, warnings, and uncaught exceptions.

    `level` is the lowest level that is logged. It is a key of LEVELS, in upper or lower case; any other text counts as
    INFO. Records of libraries, except uvicorn, are logged from level WARNING at least. `log_format` is one of FORMATS;
    with any other text, the format is `console` if standard output is a terminal, and `json` if not.
    """
    global _is_console  # noqa: PLW0603 - a process has one standard output
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
    # Not limited to WARNING: uvicorn reports at level INFO that its worker processes start and end.
    logging.getLogger("uvicorn").setLevel(lowest)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_uncaught_in_thread


def is_console() -> bool:
    """Whether the log of this process has the console format. False before `configure`."""
    return _is_console


def bind(**fields: str) -> None:
    """Add fields to all later log lines of the current context (contextvars), which is that of one request."""
    structlog.contextvars.bind_contextvars(**fields)


class _Output:
    """The logger that structlog writes with. Lines of several threads do not mix.

    Errors are ignored, so that the service keeps running when its standard output is closed.
    """

    _lock: Final = threading.Lock()

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def msg(self, line: bytes) -> None:
        """Write one line, which ends with a line feed."""
        try:
            with self._lock:
                self._file.write(line)
                self._file.flush()
        except (OSError, ValueError):
            return

    # structlog calls the method that is named after the level.
    log = debug = info = warn = warning = error = err = critical = fatal = exception = msg


class _StructlogHandler(logging.Handler):
    """Passes log records of libraries to structlog, so that their lines have the same format as the service's."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # the arguments do not fit the format string
            text = str(record.msg)
        # structlog knows the standard levels only; some libraries use levels between these, which are rounded down.
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        structlog.get_logger().log(level, text, logger=record.name, exc_info=record.exc_info or None)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):  # Ctrl-C is not a fault
        return
    structlog.get_logger().critical("uncaught error", exc_info=(kind, error, trace))


def _log_unraisable(unraisable: Any) -> None:
    """Log an error that Python cannot raise, such as one in `__del__`."""
    error = unraisable.exc_value or unraisable.exc_type()
    structlog.get_logger().error("uncaught error outside of a call", exc_info=error, where=repr(unraisable.object))


def _log_uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_type is SystemExit:  # ends the thread on purpose, as in threading.excepthook
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
    return [structlog.processors.JSONRenderer(serializer=_serialize_json), _finish_json_line]


def _console_renderers() -> list[Processor]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(),
        timestamp_key="time",
        exception_formatter=structlog.dev.plain_traceback,
    )
    return [_escape_controls, renderer, _finish_console_line]


def _escape_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape control characters in the texts of a log event; ConsoleRenderer writes other values as their `repr`.

    Secrets are masked first, because a secret that contains escaped characters would not be recognised later.
    """
    for name, value in event.items():
        if isinstance(value, str):
            controls = _CONTROLS_IN_TRACEBACK if name == "exception" else _CONTROLS_IN_TEXT
            masked = mask_secrets(_escape_surrogates(value).encode()).decode()
            event[name] = controls.sub(lambda found: f"\\u{ord(found[0]):04x}", masked)
    return event


def _finish_console_line(_logger: WrappedLogger, _method: str, line: Any) -> bytes:
    return mask_secrets(_escape_surrogates(line).encode()) + b"\n"


def _serialize_json(event: Any, **_: Any) -> bytes:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # orjson rejects texts with lone surrogates and integers of more than 64 bits. Log all values as texts.
        return orjson.dumps({key: _escape_surrogates(value) for key, value in event.items()})


def _escape_surrogates(value: Any) -> str:
    """Return the value as a text that UTF-8 can encode: lone surrogates become backslash escapes."""
    return str(value).encode("utf-8", "backslashreplace").decode()


def _finish_json_line(_logger: WrappedLogger, _method: str, line: Any) -> bytes:
    return _CONTROLS_IN_JSON.sub(_escape_for_json, mask_secrets(line)) + b"\n"


def _escape_for_json(found: re.Match[bytes]) -> bytes:
    return f"\\u{ord(found[0].decode()):04x}".encode()
