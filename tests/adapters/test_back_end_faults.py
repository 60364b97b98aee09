"""Every way in which a back-end can fail to answer, over real sockets."""

import time
from contextlib import contextmanager

import pytest
import stamina
from stamina.instrumentation import set_on_retry_hooks

from adapters.http.breaker import Breaker
from adapters.http.client import Answer, BackEnd, NoAnswerError, Timeouts
from adapters.http.exchange import MAX_ANSWER_BYTES
from ports.trace import Trace, current_trace
from tests.support.floods import unending
from tests.support.loopback import Loopback, answer, close, garbage, half, hang, refused_url, reset, truncated
from tests.support.waiting import SOON

SHORT = Timeouts(connect=1.0, read=0.15)
LONG = Timeouts(connect=5.0, read=10.0)
MOST_ATTEMPTS = 3
BREAKING = {"close": close, "reset": reset, "garbage": garbage, "truncated": truncated()}
NULL_METER = {"hang": hang, "half an answer": half}


@pytest.fixture(autouse=True)
def _attempts_without_pauses():
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


class CountingBreaker(Breaker):
    """A breaker that counts attempts, and never opens in these tests."""

    def __init__(self):
        super().__init__(failures=1000)
        self.attempts = 0

    def allows_call(self):
        self.attempts += 1
        return super().allows_call()


@contextmanager
def calling(url):
    back_end = BackEnd("composer", url, connections=5, breaker=CountingBreaker())
    try:
        yield back_end
    finally:
        back_end.close()


def call(back_end, method, timeouts=LONG):
    body = ({"a": "é"},) if method == "post_once" else ()
    return getattr(back_end, method)("/x", *body, timeouts)


def silence(back_end, method, timeouts=LONG):
    with pytest.raises(NoAnswerError) as silent:
        call(back_end, method, timeouts)
    return silent.value


@pytest.mark.parametrize(("method", "attempts"), [("get", 3), ("delete", 3), ("post_once", 1)])
def test_a_refused_connection_is_retried_only_for_repeatable_calls(method, attempts):
    with calling(refused_url()) as back_end:
        error = silence(back_end, method)
    assert back_end.breaker.attempts == attempts
    assert not error.sent


@pytest.mark.parametrize(("method", "attempts"), [("get", 3), ("delete", 3), ("post_once", 1)])
@pytest.mark.parametrize("step", BREAKING.values(), ids=BREAKING)
def test_a_broken_connection_is_retried_only_for_repeatable_calls(method, attempts, step):
    with Loopback(step) as server, calling(server.url) as back_end:
        error = silence(back_end, method)
    assert len(server.asked) == attempts
    assert error.sent


@pytest.mark.parametrize("method", ["get", "delete", "post_once"])
def test_a_request_on_a_connection_that_broke_before_the_answer_may_have_arrived(method):
    with Loopback(unread=True) as server, calling(server.url) as back_end:
        error = silence(back_end, method)
    assert server.connections == (1 if method == "post_once" else MOST_ATTEMPTS)
    assert error.sent


@pytest.mark.parametrize("method", ["get", "delete", "post_once"])
@pytest.mark.parametrize("step", NULL_METER.values(), ids=NULL_METER)
def test_a_call_of_a_hanging_back_end_ends_in_time(method, step):
    with Loopback(step) as server, calling(server.url) as back_end:
        began = time.monotonic()
        error = silence(back_end, method, SHORT)
        took = time.monotonic() - began
    assert error.sent
    assert took < SOON
    assert len(server.asked) <= (1 if method == "post_once" else MOST_ATTEMPTS)


@pytest.mark.parametrize("method", ["get", "delete"])
@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_repeatable_call_is_repeated_while_the_back_end_is_unavailable(method, status):
    with Loopback(answer(status, b"<html>", "text/html")) as server, calling(server.url) as back_end:
        silence(back_end, method)
    assert len(server.asked) == MOST_ATTEMPTS


@pytest.mark.parametrize("method", ["get", "delete"])
@pytest.mark.parametrize("step", [answer(503), close, reset, truncated()])
def test_a_back_end_that_recovers_in_time_answers_the_call(method, step):
    with Loopback(step, step, answer(200, b'"here"')) as server, calling(server.url) as back_end:
        assert call(back_end, method) == Answer(200, b'"here"')
    assert len(server.asked) == MOST_ATTEMPTS


@pytest.mark.parametrize("status", [200, 201, 400, 404, 409, 500, 502, 503, 504])
def test_a_post_is_sent_once_for_every_answer(status):
    with Loopback(answer(status, b"<html>", "text/html")) as server, calling(server.url) as back_end:
        assert call(back_end, "post_once") == Answer(status, b"<html>")
    assert len(server.asked) == 1


@pytest.mark.parametrize("method", ["get", "delete"])
@pytest.mark.parametrize("status", [200, 204, 400, 404, 409, 500])
def test_a_call_is_not_repeated_after_an_answer_of_the_back_end_itself(method, status):
    body = b"" if status == 204 else b"{}"
    with Loopback(answer(status, body)) as server, calling(server.url) as back_end:
        assert call(back_end, method).status == status
    assert len(server.asked) == 1


@pytest.mark.parametrize("method", ["get", "delete", "post_once"])
def test_a_redirect_is_returned_as_the_answer_and_not_followed(method):
    with (
        Loopback() as elsewhere,
        Loopback(answer(307, b"", location=elsewhere.url)) as server,
        calling(server.url) as back_end,
    ):
        assert call(back_end, method).status == 307
    assert elsewhere.asked == []


@pytest.fixture
def pauses():
    """The seconds before each attempt except the first."""
    found = []
    set_on_retry_hooks([lambda details: found.append(details.wait_for)])
    stamina.set_testing(False)
    yield found
    set_on_retry_hooks(None)


def test_the_pauses_between_attempts_are_short_and_differ(pauses):
    with Loopback(answer(503)) as server, calling(server.url) as back_end:
        for _ in range(3):
            silence(back_end, "get")
    assert len(set(pauses)) == len(pauses) == 3 * (MOST_ATTEMPTS - 1)
    assert max(pauses) < 1.0


def test_connections_are_reused():
    with Loopback() as server, calling(server.url) as back_end:
        for _ in range(10):
            back_end.post_once("/x", {}, LONG, max_idle=60.0)
    assert server.connections == 1


def test_a_request_body_is_sent_as_json():
    with Loopback() as server, calling(server.url) as back_end:
        call(back_end, "post_once")
    (asked,) = server.asked
    assert asked.headers["content-type"] == "application/json"
    assert asked.body == '{"a":"é"}'.encode()


@pytest.mark.parametrize("method", ["get", "delete", "post_once"])
def test_the_ids_of_the_request_are_passed_on(method):
    token = current_trace.set(Trace("the-request", "abcdefghijklmno"))
    try:
        with Loopback() as server, calling(server.url) as back_end:
            call(back_end, method)
    finally:
        current_trace.reset(token)
    (asked,) = server.asked
    assert asked.headers["x-rh-insights-request-id"] == "the-request"
    assert asked.headers["x-strc-trace-id"] == "abcdefghijklmno"


def test_no_ids_are_passed_on_outside_a_request():
    with Loopback() as server, calling(server.url) as back_end:
        call(back_end, "get")
    assert not {"x-rh-insights-request-id", "x-strc-trace-id", "x-rh-identity"} & server.asked[0].headers.keys()


def test_cookies_are_not_sent_with_later_calls():
    with Loopback(answer(200, Set_Cookie="session=tenant-1; Path=/")) as server, calling(server.url) as back_end:
        call(back_end, "get")
        call(back_end, "get")
    assert all("cookie" not in asked.headers for asked in server.asked)


def test_the_proxy_of_the_environment_is_not_used(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, refused_url())
    with Loopback() as server, calling(server.url) as back_end:
        assert call(back_end, "get").status == 200


@pytest.mark.parametrize("url", ["{}", "{}/", "{}//"])
def test_a_trailing_slash_of_the_base_url_does_not_matter(url):
    with Loopback() as server, calling(url.format(server.url)) as back_end:
        call(back_end, "get")
    assert server.asked[0].path == "/x"


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff\xfe", b"NaN", b'{"a": 1} x'])
def test_an_answer_that_is_not_json_has_no_body(body):
    assert Answer(200, body).json() is None


@pytest.mark.parametrize("kind", unending())
def test_an_endless_answer_is_abandoned_before_it_fills_the_memory(kind):
    flood = unending()[kind]
    with Loopback(flood) as server, calling(server.url) as back_end:
        silence(back_end, "post_once", LONG)
    assert flood.sent < 4 * MAX_ANSWER_BYTES
