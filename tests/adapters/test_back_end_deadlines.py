"""Answers of back-ends must be complete within the deadline and of limited size, over real sockets."""

import contextvars
import math
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from adapters.http.breaker import Breaker
from adapters.http.client import Answer, BackEnd, NoAnswerError, Timeouts, new_session
from adapters.http.tokens import Credentials, TokenRefusedError, Tokens
from ports.deadline import remaining_seconds, until
from tests.support.drip import DRIPS
from tests.support.loopback import Loopback, answer, close, hang
from tests.support.waiting import BRIEFLY, PATIENCE, SOON, STRETCH

# Longer than a test waits: a call that ends sooner was ended by an earlier deadline.
LONG = Timeouts(connect=2 * PATIENCE, read=2 * PATIENCE)
DRIP = replace(LONG, total=BRIEFLY)
# Seconds that a call with these timeouts takes at least.
NOT_SOONER = 0.75 * BRIEFLY
METHODS = ("get", "post_idempotent", "post_once", "delete")


@contextmanager
def calling(url, **options):
    back_end = BackEnd("composer", url, connections=5, **options)
    try:
        yield back_end
    finally:
        back_end.close()


def call(back_end, method, timeouts):
    body = ({},) if method in {"post_idempotent", "post_once"} else ()
    return getattr(back_end, method)("/x", *body, timeouts)


def silence(back_end, method, timeouts):
    began = time.monotonic()
    with pytest.raises(NoAnswerError) as silent:
        call(back_end, method, timeouts)
    return silent.value, time.monotonic() - began


@pytest.mark.parametrize("method", ["get", "post_once"])
@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_a_slow_answer_is_abandoned_at_the_deadline(method, drip):
    with Loopback(drip) as server, calling(server.url) as back_end:
        error, took = silence(back_end, method, DRIP)
    assert error.sent
    assert NOT_SOONER < took < SOON
    assert len(server.asked) == 1


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_a_connection_that_was_shut_down_at_the_deadline_is_not_reused(drip):
    with Loopback(drip, answer(200, b'"here"')) as server, calling(server.url) as back_end:
        silence(back_end, "get", DRIP)
        assert call(back_end, "get", LONG) == Answer(200, b'"here"')
    assert server.connections == 2


def test_a_slow_answer_on_a_reused_connection_is_abandoned_at_the_deadline():
    with Loopback(answer(), DRIPS["a body"]) as server, calling(server.url) as back_end:
        call(back_end, "get", LONG)
        _, took = silence(back_end, "get", DRIP)
    assert took < SOON
    assert server.connections == 1


def test_the_deadline_of_an_ended_call_does_not_affect_the_next_one():
    with Loopback(answer(), answer(200, b'"late"', after=STRETCH + 0.2)) as server, calling(server.url) as back_end:
        call(back_end, "get", Timeouts(PATIENCE, PATIENCE, total=STRETCH))
        assert call(back_end, "get", LONG) == Answer(200, b'"late"')
    assert server.connections == 1


def test_a_later_call_with_an_earlier_deadline_is_abandoned_first():
    with Loopback(DRIPS["a body"]) as server, calling(server.url) as back_end, ThreadPoolExecutor(2) as pool:
        long = pool.submit(silence, back_end, "get", replace(LONG, total=4 * BRIEFLY))
        time.sleep(0.05)
        short = pool.submit(silence, back_end, "get", DRIP)
        assert NOT_SOONER < short.result()[1] < long.result()[1]
        assert 3.75 * BRIEFLY < long.result()[1] < SOON


def test_slow_answers_leave_no_thread_behind():
    with Loopback(answer()) as server, calling(server.url) as back_end:
        call(back_end, "get", LONG)  # now the thread of call_deadline.py runs
    before = set(threading.enumerate())
    with Loopback(DRIPS["a body"]) as server, calling(server.url) as back_end, ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(silence, back_end, "get", DRIP) for _ in range(20)]
        assert all(one.result()[1] < SOON for one in calls)
    assert set(threading.enumerate()) <= before


class SlowResolver:
    """A resolver that answers when `go` is set, or the test ends."""

    def __init__(self):
        self.go = threading.Event()
        self.resolved = threading.Event()
        self._real = socket.getaddrinfo

    def __call__(self, *arguments, **options):
        assert self.go.wait(PATIENCE)
        try:
            return self._real(*arguments, **options)
        finally:
            self.resolved.set()


@pytest.fixture
def slow_resolver(monkeypatch):
    resolver = SlowResolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    yield resolver
    resolver.go.set()


@pytest.mark.parametrize("method", METHODS)
def test_a_slow_name_resolution_is_abandoned_at_the_deadline(slow_resolver, method):
    with Loopback() as server, calling(server.url) as back_end:
        error, took = silence(back_end, method, DRIP)
    assert not error.sent
    assert NOT_SOONER < took < SOON


def test_a_connection_established_after_the_deadline_is_closed(slow_resolver):
    with Loopback(answer()) as server, calling(server.url) as back_end:
        silence(back_end, "get", DRIP)
        slow_resolver.go.set()
        assert slow_resolver.resolved.wait(PATIENCE)
        for thread in threading.enumerate():
            if thread.name == "back-end-connect":
                thread.join(PATIENCE)
        call(back_end, "get", LONG)
    assert len(server.asked) == 1


def test_an_unknown_host_name_fails_at_once(monkeypatch):
    def unknown(*_arguments, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with calling("http://nobody.invalid") as back_end:
        error, took = silence(back_end, "post_once", LONG)
    assert not error.sent
    assert took < LONG.connect


def test_an_answer_larger_than_the_limit_is_not_used():
    with (
        Loopback(answer(200, b"1" * 100_001), answer(200, b"1" * 100_000)) as server,
        calling(server.url) as back_end,
    ):
        with pytest.raises(NoAnswerError) as silent:
            back_end.get("/x", LONG, max_bytes=100_000)
        error = silent.value
        assert len(back_end.get("/x", LONG, max_bytes=100_000).body) == 100_000
    assert error.sent
    assert len(server.asked) == 2


def test_the_connection_of_an_answer_without_a_body_is_reused():
    with Loopback(answer(204, b""), answer()) as server, calling(server.url) as back_end:
        assert call(back_end, "get", LONG) == Answer(204, b"")
        call(back_end, "get", LONG)
    assert server.connections == 1


# The deadline of the caller


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("step", [hang, DRIPS["one header"]], ids=["hang", "drip"])
def test_a_call_takes_no_longer_than_the_remaining_time(method, step):
    with Loopback(step) as server, calling(server.url) as back_end, until(BRIEFLY):
        error, took = silence(back_end, method, LONG)
    assert error.sent
    assert took < SOON


@pytest.mark.parametrize("method", METHODS)
def test_without_remaining_time_no_call_is_made(method):
    with Loopback() as server, calling(server.url) as back_end, until(0):
        error, _ = silence(back_end, method, LONG)
    assert not error.sent
    assert server.connections == 0


def test_a_call_without_enough_time_does_not_count_as_a_failure_of_the_back_end():
    breaker = Breaker(failures=1)
    with Loopback(hang) as server, calling(server.url, breaker=breaker) as back_end:
        with until(0.1):
            silence(back_end, "get", LONG)
        assert not breaker.is_open
        silence(back_end, "get", Timeouts(1.0, 0.1))
    assert breaker.is_open


def test_attempts_end_when_too_little_time_remains():
    with Loopback(close) as server, calling(server.url) as back_end, until(0.5):
        _, took = silence(back_end, "get", LONG)
    assert len(server.asked) == 1
    assert took < SOON


def test_a_nested_deadline_is_never_later_than_the_outer_one():
    assert remaining_seconds() == math.inf
    with until(5):
        with until(60):
            assert remaining_seconds() <= 5
        with until(1):
            assert remaining_seconds() <= 1
        assert 4 < remaining_seconds() <= 5
    assert remaining_seconds() == math.inf


def test_the_deadline_is_copied_with_the_context():
    with until(5), ThreadPoolExecutor(1) as pool:
        assert pool.submit(contextvars.copy_context().run, remaining_seconds).result() <= 5
        assert pool.submit(remaining_seconds).result() == math.inf


# Retry-After


@pytest.mark.parametrize("method", ["get", "post_idempotent"])
def test_a_call_is_repeated_after_a_short_retry_after(method):
    with (
        Loopback(answer(429, b"", retry_after="1"), answer(200, b'"here"')) as server,
        calling(server.url) as back_end,
    ):
        began = time.monotonic()
        assert call(back_end, method, LONG) == Answer(200, b'"here"')
    assert 0.9 < time.monotonic() - began < SOON
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("step", "total", "asked"),
    [
        (answer(429, b"", retry_after="0"), 30.0, 2),
        (answer(429, b"", retry_after="2"), 30.0, 1),
        (answer(429, b"", retry_after="Wed, 21 Oct 2026 07:28:00 GMT"), 30.0, 1),
        (answer(429, b""), 30.0, 1),
        (answer(429, b"", retry_after="1"), 0.5, 1),
    ],
    ids=["twice", "for long", "until a date", "for ever", "beyond the deadline"],
)
def test_repeated_retry_after_answers_count_as_no_answer(step, total, asked):
    with Loopback(step) as server, calling(server.url) as back_end:
        error, took = silence(back_end, "get", Timeouts(1.0, 1.0, total))
    assert error.sent
    assert took < SOON
    assert len(server.asked) == asked


def test_a_post_is_not_repeated_after_retry_after():
    with Loopback(answer(429, b"", retry_after="1")) as server, calling(server.url) as back_end:
        assert call(back_end, "post_once", LONG) == Answer(429, b"", retry_after=1.0)
    assert len(server.asked) == 1


# Tokens


@contextmanager
def tokens_from(url):
    session = new_session(1)
    try:
        yield Tokens(Credentials(url, "us", "secret"), session)
    finally:
        session.close()


@pytest.mark.parametrize("step", [hang, DRIPS["a body"], DRIPS["one header"]], ids=["hang", "body", "header"])
def test_the_wait_for_a_token_ends_at_the_deadline(step):
    with Loopback(step) as server, tokens_from(server.url) as tokens, ThreadPoolExecutor(3) as pool:

        def timed():
            began = time.monotonic()
            with until(BRIEFLY), pytest.raises(TokenRefusedError):
                tokens.get()
            return time.monotonic() - began

        assert all(one.result() < SOON for one in [pool.submit(timed) for _ in range(3)])


def test_the_time_for_a_token_counts_towards_the_time_of_the_call():
    with (
        Loopback(DRIPS["a body"]) as endpoint,
        Loopback() as server,
        tokens_from(endpoint.url) as tokens,
        calling(server.url, tokens=tokens) as back_end,
    ):
        error, took = silence(back_end, "post_once", DRIP)
    assert not error.sent
    assert took < SOON
    assert server.asked == []
