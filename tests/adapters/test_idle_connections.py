"""Requests on pooled connections that the back-end closes, over real sockets.

TEST_IDLE_CONNECTION_TRIES is the number of builds that are submitted over connections that are being closed.
"""

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import pytest
import stamina
from structlog.testing import capture_logs
from urllib3.util.wait import wait_for_read

from adapters.http import deadline_connections
from adapters.http.breaker import Breaker
from adapters.http.client import BackEnd, NoAnswerError, Timeouts, new_session
from adapters.http.composer import HttpComposer
from adapters.http.telemetry_sessions import Collector, TelemetrySession
from adapters.http.tokens import Credentials, Tokens
from domain.submission import Accepted, Unanswered
from tests.support.composer_adapter import ID, a_composer
from tests.support.idle_server import Closing, IdleServer, request_named
from tests.support.loopback import Loopback, answer, close, hang, reset
from tests.support.waiting import PATIENCE, until

TRIES = int(os.environ.get("TEST_IDLE_CONNECTION_TRIES") or 200)
PARALLEL = 20
# Seconds: the server's idle timeout, and how much later the end of a connection arrives.
IDLE, LATE = 1.0, 0.2
KINDS = [(closing, encrypted) for closing in Closing for encrypted in (False, True)]
LONG = Timeouts(connect=5.0, read=10.0)
ACCEPTED = answer(201, {"id": str(ID)})


@contextmanager
def calling(url, **options):
    back_end = BackEnd("composer", url, connections=5, **options)
    try:
        yield back_end
    finally:
        back_end.close()


def submissions(server, ca_file, tries, max_idle):
    """The outcomes of this number of builds; all except the first of a thread use a connection that is closing."""

    def submit(count):
        outcomes = {}
        with calling(server.url, ca_file=ca_file, breaker=Breaker(failures=tries)) as back_end:
            composer = HttpComposer(back_end, max_idle)
            for number in range(count + 1):
                if number:
                    time.sleep(server.moment())
                name = uuid4().hex
                outcomes[name] = composer.submit(request_named(name))
        return outcomes

    with ThreadPoolExecutor(PARALLEL) as threads:
        found = list(threads.map(submit, [tries // PARALLEL] * PARALLEL))
    return {name: outcome for outcomes in found for name, outcome in outcomes.items()}


@pytest.mark.parametrize(("closing", "encrypted"), KINDS, ids=[f"{how}{' TLS' * tls}" for how, tls in KINDS])
def test_a_build_on_a_closing_connection_is_neither_lost_nor_sent_twice(closing, encrypted, ours):
    tries = max(TRIES // len(KINDS), PARALLEL)
    tls, ca_file = (ours.server, ours.file) if encrypted else (None, "")
    with IdleServer(closing, idle=IDLE, late=LATE, tls=tls) as server:
        outcomes = submissions(server, ca_file, tries, 0.3)
    assert len(outcomes) >= tries
    assert [outcome for outcome in outcomes.values() if not isinstance(outcome, Accepted)] == []
    assert server.posted == dict.fromkeys(outcomes, 1)


@pytest.mark.parametrize("closing", Closing)
def test_a_build_on_a_reusable_connection_that_ends_is_never_sent_twice(closing):
    """Its outcome is unknown then, and is reported as unknown."""
    with IdleServer(closing, idle=0.2, late=0.05) as server:
        outcomes = submissions(server, "", 60, max_idle=60.0)
    assert max(server.posted.values()) == 1
    for name, outcome in outcomes.items():
        if isinstance(outcome, Accepted):
            assert server.posted[name] == 1
        else:
            assert outcome == Unanswered(may_have_started=True)


def test_a_briefly_idle_connection_is_reused():
    with Loopback(ACCEPTED) as server, calling(server.url) as back_end:
        for _ in range(5):
            back_end.post_once("/x", {}, LONG, max_idle=60.0)
    assert server.connections == 1


def test_a_connection_that_was_idle_for_longer_is_not_reused_for_a_build():
    with Loopback(ACCEPTED) as server, calling(server.url) as back_end:
        for _ in range(3):
            back_end.post_once("/x", {}, LONG)
            time.sleep(0.35)
    assert server.connections == 3


def test_a_connection_that_was_idle_for_longer_is_reused_for_repeatable_requests():
    with Loopback(ACCEPTED) as server, calling(server.url) as back_end:
        for method in ("get", "delete", "get"):
            getattr(back_end, method)("/x", LONG)
            time.sleep(0.35)
        back_end.post_idempotent("/x", {}, LONG)
    assert server.connections == 1


@pytest.fixture
def ends_before_the_write(monkeypatch):
    """The server closes the pooled connection after the pool's check, and before the request is written."""
    closing = threading.Event()
    request = deadline_connections._DeadlineConnection.request

    def request_later(self, *args, **options):
        if self.idle_since is not None:
            closing.set()
            assert wait_for_read(self.sock, timeout=PATIENCE)
        request(self, *args, **options)

    def answered_and_closed(visit):
        ACCEPTED(visit)
        closing.wait(PATIENCE)
        return False

    monkeypatch.setattr(deadline_connections._DeadlineConnection, "request", request_later)
    return answered_and_closed


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_build_is_sent_again_if_the_connection_had_ended_before_the_write(ends_before_the_write, encrypted, ours):
    tls, ca_file = (ours.server, ours.file) if encrypted else (None, "")
    with Loopback(ends_before_the_write, ACCEPTED, tls=tls) as server, calling(server.url, ca_file=ca_file) as back_end:
        composer = HttpComposer(back_end, 60.0)
        assert [composer.submit({}), composer.submit({})] == [Accepted(ID)] * 2
    assert (len(server.asked), server.connections) == (2, 2)


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_build_is_sent_again_if_writing_failed_at_once(monkeypatch, encrypted, ours):
    def refuse_writes(self, *_):
        socket.socket.shutdown(self.sock, socket.SHUT_WR)
        return True

    monkeypatch.setattr(deadline_connections._DeadlineConnection, "_is_reusable", refuse_writes)
    tls, ca_file = (ours.server, ours.file) if encrypted else (None, "")
    with Loopback(ACCEPTED, tls=tls) as server, calling(server.url, ca_file=ca_file) as back_end:
        composer = HttpComposer(back_end, 60.0)
        assert [composer.submit({}), composer.submit({})] == [Accepted(ID)] * 2
    assert (len(server.asked), server.connections) == (2, 2)


def test_a_build_has_not_started_if_writing_failed_twice(monkeypatch):
    connect = deadline_connections._DeadlineConnection.connect

    def connected_without_writes(self):
        connect(self)
        self.sock.shutdown(socket.SHUT_WR)

    monkeypatch.setattr(deadline_connections._DeadlineConnection, "connect", connected_without_writes)
    with Loopback(ACCEPTED) as server, a_composer(server.url) as composer:
        assert composer.submit({}) == Unanswered(may_have_started=False)
        until(lambda: server.connections == 2, "two connections, which a thread of the server's accepts")
    assert server.asked == []


@pytest.mark.parametrize("ending", [close, reset])
def test_a_build_that_was_written_to_a_reused_connection_is_not_sent_again(ending):
    with Loopback(ACCEPTED, ending, ACCEPTED) as server, a_composer(server.url) as composer:
        assert [composer.submit({}), composer.submit({})] == [Accepted(ID), Unanswered(may_have_started=True)]
    assert len(server.asked) == 2


@pytest.mark.parametrize("ending", [close, reset])
@pytest.mark.parametrize("call", ["get", "delete", "post_idempotent"])
def test_a_repeatable_request_is_sent_again_at_once_without_counting_as_a_failure(call, ending):
    breaker = Breaker(failures=1)
    body = ({},) if call == "post_idempotent" else ()
    with (
        stamina.set_testing(True, attempts=1),
        capture_logs() as lines,
        Loopback(answer(200), ending, answer(200)) as server,
        calling(server.url, breaker=breaker) as back_end,
    ):
        answers = [getattr(back_end, call)("/x", *body, LONG).status for _ in range(2)]
    assert (answers, len(server.asked), server.connections) == ([200, 200], 3, 2)
    assert not breaker.is_open
    assert [line for line in lines if line["log_level"] == "warning"] == []


def test_a_repeatable_request_is_not_sent_again_to_a_slow_back_end():
    with (
        stamina.set_testing(True, attempts=1),
        Loopback(answer(200), hang) as server,
        calling(server.url) as back_end,
    ):
        back_end.get("/x", LONG)
        with pytest.raises(NoAnswerError):
            back_end.get("/x", Timeouts(connect=5.0, read=0.2))
    assert len(server.asked) == 2


@pytest.mark.parametrize("ending", [close, reset])
def test_a_token_is_requested_again_if_the_connection_had_ended(ending):
    short_lived = answer(200, {"access_token": "t", "expires_in": 0})
    with Loopback(short_lived, ending, short_lived) as server:
        session = new_session(1)
        tokens = Tokens(Credentials(server.url, "us", "secret"), session)
        assert [tokens.get(), tokens.get()] == ["t", "t"]
        session.close()
    assert len(server.asked) == 3


@pytest.mark.parametrize("ending", [close, reset])
def test_telemetry_is_sent_again_if_the_connection_had_ended(ending):
    collector = Collector("collector", "spans")
    with (
        capture_logs() as lines,
        Loopback(answer(200), ending, answer(200)) as server,
        TelemetrySession(collector) as session,
    ):
        sent = [session.request("POST", server.url, data=b"spans", timeout=PATIENCE).status_code for _ in range(2)]
    assert (sent, len(server.asked), lines) == ([200, 200], 3, [])


def test_a_long_request_arrives_completely():
    headers = {"X-Long": "h" * 60_000}
    with Loopback(ACCEPTED) as server, calling(server.url) as back_end:
        back_end.post_once("/x", {"long": "b" * 5_000_000}, LONG, headers=headers)
    (asked,) = server.asked
    assert len(asked.body) > 5_000_000
    assert len(asked.headers["x-long"]) == 60_000
