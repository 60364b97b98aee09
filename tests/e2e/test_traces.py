"""Traces go to a collector by OTLP over HTTP if one is configured (docs/operations.md, Logs, traces, error reports)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.loopback import Loopback, answer, hang, refused_url
from tests.support.service import BASE, Service
from tests.support.waiting import PATIENCE

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
SERVER, CLIENT = 2, 3
ERROR = 2
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "50"}


@pytest.fixture
def composer() -> Iterator[Loopback]:
    """A composer that accepts every request."""
    with Loopback(answer(201, {"id": str(uuid4())})) as server:
        yield server


def traced(database: Parameters, composer: Loopback, collector: str, **environment: str) -> Service:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, **SOON, **environment}
    return Service(database, composer.url, environment=variables)


def spans(collector: Loopback) -> list[Any]:
    """All spans that the collector received."""
    found = []
    for asked in collector.asked:
        exported = ExportTraceServiceRequest.FromString(asked.body)
        found += [s for r in exported.resource_spans for scope in r.scope_spans for s in scope.spans]
    return found


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_a_request_and_its_back_end_calls_are_spans_of_the_callers_trace(
    module_database: Parameters, composer: Loopback
) -> None:
    with Loopback(answer(200)) as collector:
        with traced(module_database, composer, collector.url) as service:
            headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "x-rh-insights-request-id": "the-request"}
            assert service.client("traced").post("/compose", compose_request(), headers=headers).status_code == 201
        found = [span for span in spans(collector) if span.trace_id.hex() == TRACE]
        assert {asked.path for asked in collector.asked} == {"/v1/traces"}
    (server,) = [span for span in found if span.kind == SERVER]
    (call,) = [span for span in found if span.kind == CLIENT]

    assert (server.name, server.parent_span_id.hex()) == ("POST /compose", CALLER)
    assert attributes(server) == {
        "http.request.method": "POST",
        "http.route": "/compose",
        "http.response.status_code": 201,
        "image_builder.request_id": "the-request",
        "image_builder.operation_id": "composeImage",
        "image_builder.org_id": "traced",
    }
    assert call.parent_span_id == server.span_id
    assert attributes(call)["url.full"] == f"{composer.url}/api/image-builder-composer/v2/compose"
    assert attributes(call)["http.response.status_code"] == 201
    (ordered,) = composer.asked
    assert ordered.headers["traceparent"] == f"00-{TRACE}-{call.span_id.hex()}-01"


def test_the_spans_of_a_failed_call_and_its_request_are_errors(module_database: Parameters, composer: Loopback) -> None:
    composer.steps = [answer(500)]
    with Loopback(answer(200)) as collector:
        with traced(module_database, composer, collector.url) as service:
            assert service.client("failing").get(f"/distributions/{'centos-9'}").status_code == 503
        found = [span for span in spans(collector) if attributes(span).get("http.response.status_code", 0) >= 500]
    assert {(span.kind, span.status.code) for span in found} == {(SERVER, ERROR), (CLIENT, ERROR)}


def test_an_invalid_trace_header_begins_a_new_trace(module_database: Parameters, composer: Loopback) -> None:
    with Loopback(answer(200)) as collector:
        with traced(module_database, composer, collector.url) as service:
            answered = service.client("any").get("/version", headers={"traceparent": "00-garbage\xff-01"})
            assert answered.status_code == 200
        (found,) = [span for span in spans(collector) if span.name == "GET /version"]
    assert found.parent_span_id == b""


def test_a_refused_request_is_a_span_without_a_route(module_database: Parameters, composer: Loopback) -> None:
    with Loopback(answer(200)) as collector:
        with traced(module_database, composer, collector.url) as service:
            assert service.client("any").request("PROPFIND", "/nowhere/at/all").status_code == 404
        (found,) = [span for span in spans(collector) if attributes(span).get("http.response.status_code") == 404]
    assert found.name == "other"


def test_secrets_do_not_reach_the_collector(module_database: Parameters, composer: Loopback) -> None:
    users = [{"name": "u", "password": "a-secret-in-a-trace"}]
    with Loopback(answer(200)) as collector:
        headers = "authorization=Bearer%20collector-token"
        with traced(module_database, composer, collector.url, OTEL_EXPORTER_OTLP_HEADERS=headers) as service:
            client = service.client("secretive")
            assert client.post("/compose", compose_request(customizations={"users": users})).status_code == 201
            assert client.get("/composes?limit=7").status_code == 200
        sent = b"".join(asked.body for asked in collector.asked)
        assert {asked.headers["authorization"] for asked in collector.asked} == {"Bearer collector-token"}
    assert b"POST /compose" in sent
    for secret in (b"a-secret-in-a-trace", b"eyJ", b"limit=7", b"collector-token"):
        assert secret not in sent


@pytest.mark.parametrize("away", ["hanging", "refusing", "failing"])
def test_an_unavailable_collector_delays_nothing(module_database: Parameters, composer: Loopback, away: str) -> None:
    with Loopback(hang if away == "hanging" else answer(500)) as collector:
        with traced(module_database, composer, refused_url() if away == "refusing" else collector.url) as service:
            client = service.client("busy")
            began = time.monotonic()
            assert {client.get("/version").status_code for _ in range(50)} == {200}
            # Far below the time that one try to send takes.
            assert time.monotonic() - began < PATIENCE / 2
            ending = time.monotonic()
        assert time.monotonic() - ending < PATIENCE / 2


def test_without_a_collector_back_ends_get_no_trace_header(module_database: Parameters, composer: Loopback) -> None:
    with Service(module_database, composer.url) as service:
        headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        assert service.client("plain").post("/compose", compose_request(), headers=headers).status_code == 201
    (ordered,) = composer.asked
    assert "traceparent" not in ordered.headers


def test_every_worker_process_sends_spans_of_its_requests(module_database: Parameters, composer: Loopback) -> None:
    with Loopback(answer(200)) as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **SOON}
        with Service(module_database, composer.url, environment=variables, workers=2) as service:
            answers = [service.client("workers").request("GET", "/version", base=BASE) for _ in range(20)]
            assert {each.status_code for each in answers} == {200}
        assert len([span for span in spans(collector) if span.name == "GET /version"]) == 20
