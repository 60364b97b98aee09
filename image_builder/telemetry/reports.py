"""Reports of unforeseen errors, where a Sentry or GlitchTip is named: the traceback, and nothing of the request.

What is logged as an error with a traceback is reported. sentry-sdk is imported where there is a server to report to; it
sends from a thread that no request waits for, and drops reports of which more than a hundred wait. Whatever the server
answers, a try to send ends within seconds, and nothing of the answer is kept.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

from structlog.typing import EventDict, WrappedLogger

from image_builder.telemetry.secrets import masked_text

if TYPE_CHECKING:
    import sentry_sdk.client

# Seconds for what is left at the end.
_AT_THE_END: Final = 2.0
# What a report holds of an event; all else that the library puts together stays here.
_KEPT: Final = frozenset(
    {"event_id", "timestamp", "platform", "level", "exception", "release", "server_name", "tags", "sdk", "environment"}
)
# Libraries that send things: their troubles are no errors of ours.
_THEIRS: Final = ("opentelemetry", "sentry_sdk", "urllib3", "requests")
_QUOTED: Final = re.compile(r"""(["'`]).*\1""")
_LEVELS: Final = ("error", "critical")
_TAGS: Final = ("event", "request_id", "operation_id")

_client: sentry_sdk.client.BaseClient | None = None


def start(dsn: str, release: str) -> None:
    """Report from now on, and from this process; an empty `dsn` is nobody to report to."""
    global _client  # noqa: PLW0603 - of a process, as its log is
    if not dsn:
        return
    import sentry_sdk  # noqa: PLC0415 - see above

    from image_builder.telemetry.report_transport import ReportTransport  # noqa: PLC0415 - see above

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
        shutdown_timeout=_AT_THE_END,
        before_send=_scrubbed,
    )


def stop() -> None:
    """Send what is left, as far as that is possible in a few seconds."""
    global _client
    client, _client = _client, None
    if client is not None:
        client.close(timeout=_AT_THE_END)


def report_tracebacks(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A processor of structlog; it comes before those that turn errors into text."""
    client = _client
    if client is not None and event.get("exc_info") and _is_ours(event):
        error = _error(event["exc_info"])
        if error is not None:
            _report(client, error, {name: _without_values(str(event[name])) for name in _TAGS if event.get(name)})
    return event


def _is_ours(event: EventDict) -> bool:
    return event.get("level") in _LEVELS and not str(event.get("logger", "")).startswith(_THEIRS)


def _report(client: sentry_sdk.client.BaseClient, error: BaseException, tags: dict[str, str]) -> None:
    from sentry_sdk.utils import event_from_exception  # noqa: PLC0415 - see above

    event, hint = event_from_exception(error, client_options=client.options)
    event["tags"] = tags
    client.capture_event(event, hint=hint)


def _error(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1]


def _without_values(text: str) -> str:
    """What an error or a line says, but for what it quotes: that may be the request's."""
    return _QUOTED.sub('"…"', masked_text(text.partition("\n")[0]))


def _scrubbed(event: Any, _hint: Any) -> Any:
    kept = {name: value for name, value in event.items() if name in _KEPT}
    for error in kept.get("exception", {}).get("values", ()):
        error["value"] = _without_values(str(error.get("value") or ""))
        error.pop("mechanism", None)
        for frame in error.get("stacktrace", {}).get("frames", ()):
            frame.pop("vars", None)
    return kept
