"""Unexpected errors are reported to Sentry or GlitchTip, if configured, without content of the request."""

from __future__ import annotations

import gzip
import importlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from adapters.embedded.composer.process import StandInComposer
from image_builder.telemetry import reports
from tests.support.broken_database import fail, rename_a_column
from tests.support.builders import identity
from tests.support.databases import Parameters
from tests.support.loopback import Asked, Loopback, answer, hang, refused_url
from tests.support.service import Service
from tests.support.waiting import PATIENCE

SECRET = "a-secret-of-a-report"


def dsn(url: str) -> str:
    return f"{url.replace('://', '://the-public-key@')}/7"


def text(asked: Asked) -> bytes:
    """The text of a report; sentry-sdk compresses it with any available method."""
    if asked.headers.get("content-encoding") == "br":
        return bytes(importlib.import_module("brotli").decompress(asked.body))
    return gzip.decompress(asked.body)


def reported(server: Loopback) -> list[dict[str, Any]]:
    """The events that the server received."""
    documents = [json.loads(line) for asked in server.asked for line in text(asked).splitlines() if line]
    return [each for each in documents if "exception" in each]


def reporting(database: Parameters, composer: StandInComposer, variable: str, url: str) -> Service:
    environment = {variable: dsn(url), "BUILD_COMMIT": "abc123", "COMPOSER_CLIENT_SECRET": SECRET}
    return Service(database, composer.url, environment=environment)


@pytest.fixture
def broken_database(database: Parameters) -> Parameters:
    """A migrated database with a renamed column."""
    rename_a_column(database)
    return database


def break_down(service: Service) -> str:
    """Cause an unexpected error in the broken database, and return the request's id."""
    return fail(service, SECRET).headers["x-rh-insights-request-id"]


@pytest.mark.parametrize("variable", ["GLITCHTIP_DSN", "SENTRY_DSN"])
def test_an_unexpected_error_is_reported(broken_database: Parameters, composer: StandInComposer, variable: str) -> None:
    with Loopback(answer(200)) as server:
        with reporting(broken_database, composer, variable, server.url) as service:
            request_id = break_down(service)
        (report,) = [each for each in reported(server) if each["tags"].get("request_id") == request_id]
    assert (report["release"], report["tags"]["operation_id"]) == ("abc123", "composeImage")
    error = report["exception"]["values"][-1]
    # Not even the table's name: an error may as well quote what was asked for.
    assert (error["type"], error["value"]) == ("UndefinedColumn", 'column "…" does not exist')
    assert error["stacktrace"]["frames"][-1]["filename"]


def test_a_report_contains_nothing_of_the_request(broken_database: Parameters, composer: StandInComposer) -> None:
    with Loopback(answer(200)) as server:
        with reporting(broken_database, composer, "GLITCHTIP_DSN", server.url) as service:
            break_down(service)
        sent = b"".join(text(asked) for asked in server.asked).decode()
        found = reported(server)
    assert found
    assert [part for part in (SECRET, identity("reporting"), "u@example.com", "000007") if part in sent] == []
    frames = [
        frame for each in found for error in each["exception"]["values"] for frame in error["stacktrace"]["frames"]
    ]
    assert [frame for frame in frames if "vars" in frame] == []
    assert [each for each in found if {"request", "user", "extra", "breadcrumbs", "contexts"} & each.keys()] == []


def refused_request(service: Service) -> int:
    return service.client("any").post("/compose", {"distribution": 5}).status_code


def back_end_away(service: Service) -> int:
    return service.client("any").get("/distributions/centos-9").status_code


@pytest.mark.parametrize(("ask", "status"), [(refused_request, 400), (back_end_away, 503)])
def test_expected_errors_are_not_reported(
    module_database: Parameters, ask: Callable[[Service], int], status: int
) -> None:
    with Loopback(answer(200)) as server:
        variables = {"GLITCHTIP_DSN": dsn(server.url)}
        with Service(module_database, refused_url(), environment=variables) as service:
            assert ask(service) == status
        assert reported(server) == []


@pytest.mark.filterwarnings("ignore:The send_default_pii option:DeprecationWarning")
def test_the_message_of_a_library_error_is_reported_without_secrets_and_values() -> None:
    with Loopback(answer(200)) as server:
        reports.start(dsn(server.url), "")
        try:
            line = {
                "level": "error",
                "exc_info": ValueError("any"),
                "event": f"Task 'of {SECRET}' failed, password={SECRET}",
                "request_id": "r",
            }
            reports.report_tracebacks(None, "error", line)
        finally:
            reports.stop()
        (report,) = reported(server)
    assert report["tags"] == {"event": 'Task "…" failed, password=********', "request_id": "r"}


@pytest.mark.parametrize("away", ["hanging", "refusing"])
def test_an_unavailable_report_server_delays_nothing(
    broken_database: Parameters, composer: StandInComposer, away: str
) -> None:
    with Loopback(hang) as server:
        url = server.url if away == "hanging" else refused_url()
        with reporting(broken_database, composer, "GLITCHTIP_DSN", url) as service:
            began = time.monotonic()
            for _ in range(5):
                break_down(service)
            assert time.monotonic() - began < PATIENCE / 2
            ending = time.monotonic()
        assert time.monotonic() - ending < PATIENCE / 2
