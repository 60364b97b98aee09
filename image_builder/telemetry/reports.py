"""Reports of unexpected errors to a Sentry or GlitchTip server (docs/operations.md, Logs, traces, error reports).

Log lines of level error with a traceback are reported. A report holds the traceback and no data of the request.
sentry-sdk is imported only if a server is configured. It sends in a thread of its own, so that requests do not wait,
and drops reports when a hundred are waiting. Each attempt to send ends within seconds, and the server's answer is
discarded.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

from structlog.typing import EventDict, WrappedLogger

from image_builder.telemetry.secrets import mask_secrets_in_text

if TYPE_CHECKING:
    import sentry_sdk.client

# Seconds to send waiting reports at shutdown.
_SHUTDOWN_TIMEOUT: Final = 2.0
# Fields of a report that are sent; other fields of sentry-sdk may hold data of requests.
_SENT_FIELDS: Final = frozenset(
    {"event_id", "timestamp", "platform", "level", "exception", "release", "server_name", "tags", "sdk", "environment"}
)
# Loggers of libraries that send telemetry; their errors are not reported.
_IGNORED_LOGGERS: Final = ("opentelemetry", "sentry_sdk", "urllib3", "requests")
_QUOTED: Final = re.compile(r"""(["'`]).*\1""")
_LEVELS: Final = ("error", "critical")
_TAGS: Final = ("event", "request_id", "operation_id")

_client: sentry_sdk.client.BaseClient | None = None


def start(dsn: str, release: str) -> None:
    """Start to report errors of this process to the server of `dsn`; do nothing if it is empty."""
    global _client  # noqa: PLW0603 - one per process, like its log
    if not dsn:
        return
    import sentry_sdk  # noqa: PLC0415 - see the module's docstring

    from image_builder.telemetry.report_transport import ReportTransport  # noqa: PLC0415 - see the module's docstring

    _client = sentry_sdk.Client(
        dsn=dsn,
        transport=ReportTransport,
        release=release or None,
        default_integrations=False,
        auto_enabling_integrations=False,
        send_default_pii=False,
        include_local_variables=False,
        max_breadcrumbs=0,
        send_client_reports=False,
        auto_session_tracking=False,
        shutdown_timeout=_SHUTDOWN_TIMEOUT,
        before_send=_scrub,
    )


def stop() -> None:
    """Send waiting reports, for a few seconds at most, and stop reporting."""
    global _client
    client, _client = _client, None
    if client is not None:
        client.close(timeout=_SHUTDOWN_TIMEOUT)


def report_tracebacks(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor that reports errors with tracebacks.

    It must run before processors that format exceptions.
    """
    client = _client
    if client is not None and event.get("exc_info") and _is_reported(event):
        error = _exception(event["exc_info"])
        if error is not None:
            _report(client, error, {name: _without_values(str(event[name])) for name in _TAGS if event.get(name)})
    return event


def _is_reported(event: EventDict) -> bool:
    return event.get("level") in _LEVELS and not str(event.get("logger", "")).startswith(_IGNORED_LOGGERS)


def _report(client: sentry_sdk.client.BaseClient, error: BaseException, tags: dict[str, str]) -> None:
    from sentry_sdk.utils import event_from_exception  # noqa: PLC0415 - see the module's docstring

    event, hint = event_from_exception(error, client_options=client.options)
    event["tags"] = tags
    client.capture_event(event, hint=hint)


def _exception(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1]


def _without_values(text: str) -> str:
    """The first line of a message, without quoted values, which may be data of a request."""
    return _QUOTED.sub('"…"', mask_secrets_in_text(text.partition("\n")[0]))


def _scrub(event: Any, _hint: Any) -> Any:
    report = {name: value for name, value in event.items() if name in _SENT_FIELDS}
    for error in report.get("exception", {}).get("values", ()):
        error["value"] = _without_values(str(error.get("value") or ""))
        error.pop("mechanism", None)
        for frame in error.get("stacktrace", {}).get("frames", ()):
            frame.pop("vars", None)
    return report
