"""The log of the running service: one JSON object per line, with the caller on each line of a request."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import raw_http
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.loopback import Loopback, answer
from tests.support.service import BASE, Service
from tests.support.waiting import PATIENCE

Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs") / "service.log"


@pytest.fixture(scope="module")
def composer() -> Iterator[Loopback]:
    """A composer that answers with errors."""
    with Loopback(answer(503)) as server:
        yield server


@pytest.fixture(scope="module")
def service(module_database: Parameters, composer: Loopback, log: Path) -> Iterator[Service]:
    """Two worker processes and their parent, with all log levels."""
    variables = {"LOG_LEVEL": "DEBUG"}
    with Service(module_database, composer.url, environment=variables, workers=2, log=log) as running:
        yield running


def lines(log: Path) -> Lines:
    return [json.loads(line) for line in log.read_text().splitlines()]


def soon(log: Path, wanted: Callable[[dict[str, Any]], bool]) -> Lines:
    """Wait for log lines that match, because an answer may arrive before its line."""
    deadline = time.monotonic() + PATIENCE
    while not (found := [line for line in lines(log) if wanted(line)]):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    return found


def test_every_line_has_time_level_and_event(service: Service, log: Path) -> None:
    service.client("any").get("/version")
    soon(log, lambda line: line["event"] == "request")
    assert [line for line in lines(log) if not {"time", "level", "event"} <= line.keys()] == []


def test_the_parent_process_writes_json_lines_too(service: Service, log: Path) -> None:
    (line,) = soon(log, lambda line: line["event"] == "serving")
    assert service.process is not None
    assert line["process"] == service.process.pid


def test_the_line_of_a_request_has_the_caller_the_request_and_the_status(service: Service, log: Path) -> None:
    service.client("who").get("/composes", headers={"x-rh-insights-request-id": "told"})
    (line,) = soon(log, lambda line: line["event"] == "request" and line["request_id"] == "told")
    assert line["duration_ms"] > 0
    assert {name: line[name] for name in ("level", "method", "operation_id", "org_id", "status")} == {
        "level": "info",
        "method": "GET",
        "operation_id": "getComposes",
        "org_id": "who",
        "status": 200,
    }


def test_all_lines_of_a_request_including_back_end_calls_name_the_caller(service: Service, log: Path) -> None:
    headers = {"x-rh-insights-request-id": "failing"}
    assert service.client("whose").post("/compose", compose_request(), headers=headers).status_code == 500
    soon(log, lambda line: line["event"] == "request" and line["request_id"] == "failing")
    found = [line for line in lines(log) if line.get("request_id") == "failing"]
    assert {"back-end answered", "request failed", "request"} <= {line["event"] for line in found}
    assert {(line.get("operation_id"), line.get("org_id")) for line in found} == {("composeImage", "whose")}


def test_lines_of_a_request_have_no_values_of_other_requests(service: Service, log: Path) -> None:
    client = service.client("before")  # one connection for all of them
    client.get("/composes")
    client.get("/nowhere", headers={"x-rh-insights-request-id": "after", "x-rh-identity": None})
    (line,) = soon(log, lambda line: line["event"] == "request" and line["request_id"] == "after")
    assert {"operation_id", "org_id"} & line.keys() == set()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"this is no HTTP\r\n\r\n", 400),
        (raw_http.head("GET", f"{BASE}/version", {f"x-{number}": "v" * 8000 for number in range(20)}), 431),
        (raw_http.head("GET", "/nowhere"), 404),
        (raw_http.head("PROPFIND", f"{BASE}/composes"), 405),
    ],
    ids=["no HTTP", "headers too large", "nowhere", "no such method"],
)
def test_an_answer_outside_the_operations_has_the_request_id_of_its_log_line(
    service: Service, log: Path, sent: bytes, status: int
) -> None:
    with raw_http.connection(service.url) as opened:
        opened.sendall(sent)
        refused = raw_http.read(opened)
    assert refused is not None
    assert refused.status_code == status
    request_id = refused.headers["x-rh-insights-request-id"]
    assert soon(log, lambda line: line.get("request_id") == request_id and line.get("status") == status)


def test_bytes_that_are_not_http_are_logged_in_one_line(service: Service, log: Path) -> None:
    before = len(lines(log))
    refused = raw_http.send(service.url, b"this is no HTTP\r\n\r\n")
    assert refused is not None
    request_id = refused.headers["x-rh-insights-request-id"]
    soon(log, lambda line: line.get("request_id") == request_id)
    assert [line["event"] for line in lines(log)[before:] if "HTTP" in line["event"]] == []


def test_migrations_write_json_lines_too(empty_database: Parameters) -> None:
    status, text = Service(empty_database, "http://127.0.0.1:1").command("migrate")
    assert status == 0, text
    said = [json.loads(line) for line in text.splitlines()]
    assert said[-1]["event"] == "the database is up to date"
    assert said[-1]["applied"]
