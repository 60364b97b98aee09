"""Misbehaving servers of traces and error reports change nothing for users."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.broken_database import fail, rename_a_column
from tests.support.databases import Parameters
from tests.support.footprint import MIB, forget_peak_memory, peak_memory, threads
from tests.support.hostile_server import HTTP_TREATMENTS, SLOW_HTTP_TREATMENTS, HostileServer, Treatment, hang, http
from tests.support.loopback import Loopback, answer, refused_url
from tests.support.service import Service
from tests.support.waiting import PATIENCE, SOON, until

AT_SHORT_INTERVALS = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
# Seconds that a request may take on a busy machine.
# What a huge answer would take is more.
MOST_MEMORY = 64 * MIB
MOST_THREADS = 10


@dataclass
class Telemetry:
    """The running service, and the servers of its telemetry."""

    service: Service
    log: Path
    traces: HostileServer
    reports: HostileServer
    memory: int
    threads: int

    def treat(self, treatment: Treatment) -> None:
        self.traces.treatment = self.reports.treatment = treatment

    @property
    def process(self) -> int:
        assert self.service.process is not None
        return self.service.process.pid


def send_telemetry(service: Service) -> None:
    """Requests that are traced, and one whose error is reported; all get their usual answers promptly."""
    client = service.client()
    for _ in range(10):
        answered = client.get("/version")
        assert answered.status_code == 200
        assert answered.elapsed.total_seconds() < SOON
    assert fail(service).elapsed.total_seconds() < SOON


def sending(database: Parameters, traces: HostileServer, reports: HostileServer, log: Path) -> Service:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{traces.port}",
        "GLITCHTIP_DSN": f"http://key@127.0.0.1:{reports.port}/7",
        **AT_SHORT_INTERVALS,
    }
    return Service(database, refused_url(), environment=environment, log=log)


@pytest.fixture(scope="module")
def broken_database(module_database: Parameters) -> Parameters:
    rename_a_column(module_database)
    return module_database


@pytest.fixture(scope="module")
def telemetry(broken_database: Parameters, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telemetry]:
    log = tmp_path_factory.mktemp("telemetry") / "log"
    with (
        HostileServer(http()) as traces,
        HostileServer(http()) as reports,
        sending(broken_database, traces, reports, log) as service,
    ):
        assert service.process is not None
        send_telemetry(service)
        until(lambda: traces.ended and reports.ended, "telemetry is sent")
        process = service.process.pid
        yield Telemetry(service, log, traces, reports, peak_memory(process), threads(process))


@pytest.mark.parametrize("name", HTTP_TREATMENTS)
def test_no_answer_of_telemetry_servers_affects_users_memory_or_threads(telemetry: Telemetry, name: str) -> None:
    forget_peak_memory(telemetry.process)
    treatment = HTTP_TREATMENTS[name]
    telemetry.treat(treatment)
    send_telemetry(telemetry.service)
    # Also after a server that held a request up.
    until(lambda: treatment in telemetry.traces.accepted, "spans are sent")
    until(lambda: treatment in telemetry.reports.accepted, "reports are sent")
    if name not in SLOW_HTTP_TREATMENTS:
        until(lambda: treatment in telemetry.traces.ended, "the request with spans ends")
        until(lambda: treatment in telemetry.reports.ended, "the request with reports ends")
    send_telemetry(telemetry.service)
    assert peak_memory(telemetry.process) < telemetry.memory + MOST_MEMORY
    assert threads(telemetry.process) < telemetry.threads + MOST_THREADS


@pytest.mark.parametrize("away", ["refusing", "ignoring"])
def test_telemetry_servers_that_accept_no_connection_do_not_affect_users_memory_or_threads(
    telemetry: Telemetry, away: str
) -> None:
    with getattr(telemetry.traces, away)(), getattr(telemetry.reports, away)():
        ends = time.monotonic() + 1
        while time.monotonic() < ends:
            send_telemetry(telemetry.service)
    assert peak_memory(telemetry.process) < telemetry.memory + MOST_MEMORY
    assert threads(telemetry.process) < telemetry.threads + MOST_THREADS


def test_telemetry_does_not_follow_redirects(telemetry: Telemetry) -> None:
    with Loopback(answer(200)) as elsewhere:
        redirect = http(307, Location=f"{elsewhere.url}/elsewhere")
        telemetry.treat(redirect)
        send_telemetry(telemetry.service)
        until(lambda: redirect in telemetry.traces.ended, "spans are sent")
        until(lambda: redirect in telemetry.reports.ended, "reports are sent")
        send_telemetry(telemetry.service)
        assert elsewhere.asked == []


def test_the_log_says_once_that_telemetry_servers_are_unavailable_and_once_that_they_are_available(
    telemetry: Telemetry,
) -> None:
    def counts(*texts: str) -> list[int]:
        log = telemetry.log.read_text()
        return [log.count(text) for text in texts]

    def answer_with(status: int) -> None:
        treatment = http(status)
        telemetry.treat(treatment)
        for _ in range(3):
            send_telemetry(telemetry.service)
            time.sleep(0.2)
        until(lambda: treatment in telemetry.traces.ended, "spans are sent")
        until(lambda: treatment in telemetry.reports.ended, "reports are sent")

    away = (
        "trace collector unavailable: spans are dropped",
        "error report server unavailable: error reports are dropped",
    )
    back = "trace collector available again", "error report server available again"
    answer_with(200)
    before = counts(*away), counts(*back)
    answer_with(500)
    until(lambda: counts(*away) == [count + 1 for count in before[0]], "one line that each is away")
    answer_with(200)
    until(lambda: counts(*back) == [count + 1 for count in before[1]], "one line that each is back")
    assert counts(*away) == [count + 1 for count in before[0]]


def test_the_service_ends_in_time_while_telemetry_servers_hang(broken_database: Parameters, tmp_path: Path) -> None:
    with HostileServer(hang) as traces, HostileServer(hang) as reports:
        service = sending(broken_database, traces, reports, tmp_path / "log").start()
        for _ in range(5):
            send_telemetry(service)
        until(lambda: traces.accepted and reports.accepted, "telemetry is sent")
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < PATIENCE
