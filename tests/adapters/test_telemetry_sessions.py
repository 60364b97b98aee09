"""Requests that send telemetry end in time, and discard the body of the answer."""

from __future__ import annotations

import time

import pytest
import requests
from structlog.testing import capture_logs

from adapters.http.telemetry_sessions import Collector, TelemetrySession
from tests.support.drip import DRIPS
from tests.support.loopback import Loopback, answer, hang, refused_url
from tests.support.waiting import BRIEFLY, SOON


def send(url: str, collector: Collector | None = None, *, timeout: float = SOON) -> requests.Response:
    with TelemetrySession(collector or Collector("collector", "spans")) as session:
        return session.request("POST", url, data=b"spans", timeout=timeout)


@pytest.mark.parametrize("step", [hang, *DRIPS.values()], ids=["hang", *DRIPS])
def test_a_request_ends_in_time_if_the_answer_is_slow(step):
    with Loopback(step) as server:
        began = time.monotonic()
        with pytest.raises(requests.Timeout):
            send(server.url, timeout=BRIEFLY)
        assert time.monotonic() - began < SOON


def test_status_and_headers_of_an_answer_are_returned():
    with Loopback(answer(503, Retry_After="7")) as server:
        answered = send(server.url)
    assert (answered.status_code, answered.headers["retry-after"]) == (503, "7")


def test_a_connection_is_reused():
    with Loopback(answer(200)) as server, TelemetrySession(Collector("collector", "spans")) as session:
        for _ in range(3):
            session.request("POST", server.url, data=b"spans", timeout=SOON)
        assert (len(server.asked), server.connections) == (3, 1)


def test_a_redirect_is_not_followed():
    with Loopback(answer(200)) as elsewhere, Loopback(answer(308, location=elsewhere.url)) as server:
        assert send(server.url).status_code == 308
        assert elsewhere.asked == []


def test_the_body_of_a_redirect_is_not_kept_in_memory():
    with Loopback(answer(302, b"x" * 1_000_000, location="/")) as server:
        answered = TelemetrySession(Collector("collector", "spans")).request("POST", server.url, timeout=SOON)
    assert answered.raw.closed
    assert answered.content == b""


def test_a_connection_that_ends_within_a_chunk_is_an_error_of_requests():
    def cut(visit):
        visit.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
        return False

    with Loopback(cut) as server, pytest.raises(requests.ConnectionError):
        send(server.url)


def test_the_log_says_once_that_a_collector_is_unavailable_and_once_that_it_is_available():
    collector = Collector("collector", "spans")
    with capture_logs() as lines, Loopback(answer(401), answer(500), answer(200), answer(200)) as server:
        for _ in range(2):
            with pytest.raises(requests.ConnectionError):
                send(refused_url(), collector)
        for _ in range(4):
            send(server.url, collector)
    assert [(line["log_level"], line["event"], line.get("cause")) for line in lines] == [
        ("warning", "collector unavailable: spans are dropped", "ConnectionError"),
        ("info", "collector available again", None),
    ]
