"""OpenTelemetry traces (docs/operations.md, Logs, traces, error reports).

There is a span for each request and for each call to a back-end. OpenTelemetry is imported only if a collector is
configured, because the import takes a tenth of a second. A thread of its own sends the spans, so that requests do not
wait. At most OTEL_BSP_MAX_QUEUE_SIZE (2048) spans wait; further ones, and those that the collector does not accept, are
dropped. Each attempt to send ends within seconds, and the collector's answer is discarded.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ports.trace import CallSpan, Trace, current_span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OpenSpan
    from opentelemetry.trace import Tracer

_SERVICE: Final = "image-builder"
# Seconds for one attempt to send spans.
_ATTEMPT_TIMEOUT: Final = 5.0
# Seconds to send waiting spans at shutdown.
_SHUTDOWN_TIMEOUT: Final = 3.0
# Headers that hold the caller's trace (W3C Trace Context).
_TRACE_HEADERS: Final = {b"traceparent": "traceparent", b"tracestate": "tracestate"}


class Tracing:
    """The tracer of one process. Call `start` in that process, not before a fork, and before the first request."""

    def __init__(self, endpoint: str, headers: str, version: str) -> None:
        """`endpoint` is the URL of the collector, empty to disable traces.

        `headers` are sent to the collector, in the form of OTEL_EXPORTER_OTLP_HEADERS; `version` is that of the
        service.
        """
        self._endpoint = endpoint
        self._headers = headers
        self._version = version
        self._provider: TracerProvider | None = None
        self._tracer: Tracer | None = None

    def start(self) -> None:
        """Start to send traces, if a collector is configured."""
        if not self._endpoint:
            return
        # ruff: disable[PLC0415]
        from opentelemetry.exporter.otlp.proto.http import trace_exporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.util.re import parse_env_headers

        from adapters.http.telemetry_sessions import Collector, TelemetrySession

        # ruff: enable[PLC0415]
        resource = Resource.create({SERVICE_NAME: _SERVICE, SERVICE_VERSION: self._version})
        exporter = trace_exporter.OTLPSpanExporter(
            f"{self._endpoint.rstrip('/')}/v1/traces",
            headers=parse_env_headers(self._headers, liberal=True),
            timeout=_ATTEMPT_TIMEOUT,
            session=TelemetrySession(Collector("trace collector", "spans")),
        )
        # The Collector logs once when the collector becomes unavailable; the exporter would log each failed attempt.
        logging.getLogger(trace_exporter.__name__).setLevel(logging.CRITICAL)
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(_SERVICE, self._version)

    def stop(self) -> None:
        """Send waiting spans, for 3 seconds at most, and stop tracing."""
        provider, self._provider, self._tracer = self._provider, None, None
        if provider is not None:
            shutdown = Thread(target=provider.shutdown, name="send-last-spans", daemon=True)
            shutdown.start()
            shutdown.join(_SHUTDOWN_TIMEOUT)

    def request(self, method: str, headers: Iterable[tuple[bytes, bytes]], trace: Trace) -> RequestSpan | None:
        """Start the span of a request, and make it the current one. Returns None if traces are disabled."""
        if self._tracer is None:
            return None
        parent = {_TRACE_HEADERS[name]: value.decode("latin-1") for name, value in headers if name in _TRACE_HEADERS}
        span = RequestSpan(self._tracer, method, parent, trace)
        current_span.set(span)
        return span


class RequestSpan:
    """The span of a request. Implements ports.trace.Span."""

    def __init__(self, tracer: Tracer, method: str, parent: Mapping[str, str], trace: Trace) -> None:
        """`parent` holds the headers of the caller's trace, which the span continues."""
        from opentelemetry.trace import SpanKind, set_span_in_context  # noqa: PLC0415 - see the module's docstring

        self._tracer = tracer
        self._method = method
        self._span: OpenSpan = tracer.start_span(
            method,
            context=_propagator().extract(parent),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "image_builder.request_id": trace.request_id},
        )
        self._context = set_span_in_context(self._span)

    def call(self, method: str, url: str) -> AbstractContextManager[CallSpan]:
        """Implements `Span.call`."""
        return self._call(method, url)

    def end(self, *, template: str, operation: str, tenant: str, status: int) -> None:
        """End the span when the request was answered.

        Texts are empty if unknown, such as `template` without an operation.
        """
        if template:
            self._span.update_name(f"{self._method} {template}")
            self._span.set_attribute("http.route", template)
        known = {"image_builder.operation_id": operation, "image_builder.org_id": tenant}
        self._span.set_attributes({name: value for name, value in known.items() if value})
        _set_status(self._span, status, first_error=500)
        self._span.end()

    @contextmanager
    def _call(self, method: str, url: str) -> Iterator[CallSpan]:
        from opentelemetry.trace import SpanKind, set_span_in_context  # noqa: PLC0415 - see the module's docstring

        span = self._tracer.start_span(
            method, context=self._context, kind=SpanKind.CLIENT, attributes=_call_attributes(method, url)
        )
        headers: dict[str, str] = {}
        _propagator().inject(headers, set_span_in_context(span))
        try:
            yield _CallSpan(span, headers)
        except BaseException as error:
            # The type only: the error's message may hold data of the request.
            span.set_attribute("error.type", type(error).__name__)
            _set_error(span)
            raise
        finally:
            span.end()


class _CallSpan:
    """The span of a call to a back-end. Implements ports.trace.CallSpan."""

    def __init__(self, span: OpenSpan, headers: Mapping[str, str]) -> None:
        self._span = span
        self.headers = headers

    def answered(self, status: int) -> None:
        _set_status(self._span, status, first_error=400)


def _call_attributes(method: str, url: str) -> dict[str, Any]:
    """The attributes of a call's span. The URL is without user and query, which may hold data of customers."""
    parts = urlsplit(url)
    attributes: dict[str, Any] = {
        "http.request.method": method,
        "server.address": parts.hostname or "",
        "url.full": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}",
    }
    if parts.port:
        attributes["server.port"] = parts.port
    return attributes


def _set_status(span: OpenSpan, status: int, *, first_error: int) -> None:
    """Record the HTTP status of an answer; the span is an error from the status `first_error` on."""
    span.set_attribute("http.response.status_code", status)
    if status >= first_error:
        _set_error(span)


def _set_error(span: OpenSpan) -> None:
    from opentelemetry.trace import StatusCode  # noqa: PLC0415 - see the module's docstring

    span.set_status(StatusCode.ERROR)


def _propagator() -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - see the module's docstring

    return TraceContextTextMapPropagator()
