"""Traces by OpenTelemetry, where a collector is named: a span for each request, and one for each call it makes.

OpenTelemetry is imported when traces are kept, and not before: it takes a tenth of a second. Spans are sent by a thread
that no request waits for, and dropped where the collector does not take them; at most OTEL_BSP_MAX_QUEUE_SIZE (2048)
wait. Whatever the collector answers, a try to send ends within seconds, and nothing of the answer is kept.
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
# Seconds: for one try to send spans, and for what is left at the end.
_PATIENCE: Final = 5.0
_AT_THE_END: Final = 3.0
_CARRIED: Final = {b"traceparent": "traceparent", b"tracestate": "tracestate"}


class Tracing:
    """The traces of one process. Start it in the process that it is for, and before there are requests."""

    def __init__(self, endpoint: str, headers: str, version: str) -> None:
        """`endpoint` is the collector, empty for none; `headers` go along to it, as OTEL_EXPORTER_OTLP_HEADERS."""
        self._endpoint = endpoint
        self._headers = headers
        self._version = version
        self._provider: TracerProvider | None = None
        self._tracer: Tracer | None = None

    def start(self) -> None:
        """Begin to keep traces, where there is a collector."""
        if not self._endpoint:
            return
        # ruff: disable[PLC0415]
        from opentelemetry.exporter.otlp.proto.http import trace_exporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.util.re import parse_env_headers

        from adapters.http.sending import Collector, SendingSession

        # ruff: enable[PLC0415]
        resource = Resource.create({SERVICE_NAME: _SERVICE, SERVICE_VERSION: self._version})
        exporter = trace_exporter.OTLPSpanExporter(
            f"{self._endpoint.rstrip('/')}/v1/traces",
            headers=parse_env_headers(self._headers, liberal=True),
            timeout=_PATIENCE,
            session=SendingSession(Collector("trace collector", "spans")),
        )
        # The collector logs when it goes away: the exporter would log every try that fails.
        logging.getLogger(trace_exporter.__name__).setLevel(logging.CRITICAL)
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(_SERVICE, self._version)

    def stop(self) -> None:
        """Send what is left, as far as that is possible in a few seconds."""
        provider, self._provider, self._tracer = self._provider, None, None
        if provider is not None:
            ending = Thread(target=provider.shutdown, name="last-spans", daemon=True)
            ending.start()
            ending.join(_AT_THE_END)

    def request(self, method: str, headers: Iterable[tuple[bytes, bytes]], trace: Trace) -> RequestSpan | None:
        """The span of a request that begins, for the context at hand; None where no traces are kept."""
        if self._tracer is None:
            return None
        carried = {_CARRIED[name]: value.decode("latin-1") for name, value in headers if name in _CARRIED}
        span = RequestSpan(self._tracer, method, carried, trace)
        current_span.set(span)
        return span


class RequestSpan:
    """Fulfils ports.trace.Span."""

    def __init__(self, tracer: Tracer, method: str, carried: Mapping[str, str], trace: Trace) -> None:
        """`carried` are the headers by which the caller's own trace goes on."""
        from opentelemetry.trace import SpanKind, set_span_in_context  # noqa: PLC0415 - see above

        self._tracer = tracer
        self._method = method
        self._span: OpenSpan = tracer.start_span(
            method,
            context=_propagator().extract(carried),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "image_builder.request_id": trace.request_id},
        )
        self._context = set_span_in_context(self._span)

    def call(self, method: str, url: str) -> AbstractContextManager[CallSpan]:
        """See the port."""
        return self._call(method, url)

    def end(self, *, template: str, operation: str, tenant: str, status: int) -> None:
        """The request was answered; `template` is the route's, empty where there is none."""
        if template:
            self._span.update_name(f"{self._method} {template}")
            self._span.set_attribute("http.route", template)
        known = {"image_builder.operation_id": operation, "image_builder.org_id": tenant}
        self._span.set_attributes({name: value for name, value in known.items() if value})
        _answered(self._span, status, erroneous=500)
        self._span.end()

    @contextmanager
    def _call(self, method: str, url: str) -> Iterator[CallSpan]:
        from opentelemetry.trace import SpanKind, set_span_in_context  # noqa: PLC0415 - see above

        span = self._tracer.start_span(
            method, context=self._context, kind=SpanKind.CLIENT, attributes=_of_call(method, url)
        )
        headers: dict[str, str] = {}
        _propagator().inject(headers, set_span_in_context(span))
        try:
            yield _Call(span, headers)
        except BaseException as error:
            # Not the error itself: what it says may hold more than an address.
            span.set_attribute("error.type", type(error).__name__)
            _failed(span)
            raise
        finally:
            span.end()


class _Call:
    """Fulfils ports.trace.CallSpan."""

    def __init__(self, span: OpenSpan, headers: Mapping[str, str]) -> None:
        self._span = span
        self.headers = headers

    def answered(self, status: int) -> None:
        _answered(self._span, status, erroneous=400)


def _of_call(method: str, url: str) -> dict[str, Any]:
    """Of the address neither who asks nor the query: that holds what customers named."""
    parts = urlsplit(url)
    attributes: dict[str, Any] = {
        "http.request.method": method,
        "server.address": parts.hostname or "",
        "url.full": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}",
    }
    if parts.port:
        attributes["server.port"] = parts.port
    return attributes


def _answered(span: OpenSpan, status: int, *, erroneous: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= erroneous:
        _failed(span)


def _failed(span: OpenSpan) -> None:
    from opentelemetry.trace import StatusCode  # noqa: PLC0415 - see above

    span.set_status(StatusCode.ERROR)


def _propagator() -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - see above

    return TraceContextTextMapPropagator()
