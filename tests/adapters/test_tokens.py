"""OAuth2 client credentials: all calls share one token, and all waiting calls share one refresh."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import pytest

from adapters.http.client import BackEnd, NoAnswerError, Timeouts, new_session
from adapters.http.tokens import Credentials, TokenRefusedError, Tokens
from ports.meter import CallOutcome
from tests.support.loopback import Loopback, answer, garbage, refused_url, reset, truncated
from tests.support.meter import FakeMeter
from tests.support.waiting import STRETCH

LONG = Timeouts(connect=5.0, read=10.0)
BASE = "/api/image-builder-composer/v2"


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@contextmanager
def tokens_from(url, *, clock=time.monotonic):
    session = new_session(1)
    try:
        yield Tokens(Credentials(url, "us", "s&cret="), session, clock=clock)
    finally:
        session.close()


@contextmanager
def calling(url, tokens):
    back_end = BackEnd("composer", url, connections=30, tokens=tokens)
    try:
        yield back_end
    finally:
        back_end.close()


def a_token(text="one", expires_in=900, **more):
    return answer(200, {"access_token": text, "expires_in": expires_in, "token_type": "Bearer", **more})


def at_once(threads, function):
    together = Barrier(threads)

    def run(_):
        together.wait()
        return function()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def test_client_id_and_secret_are_sent_as_form_fields():
    with Loopback(a_token()) as server, tokens_from(f"{server.url}/token") as tokens:
        assert tokens.get() == "one"
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/token")
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.form == {"grant_type": ["client_credentials"], "client_id": ["us"], "client_secret": ["s&cret="]}
    assert "authorization" not in asked.headers


def test_a_token_is_used_until_a_minute_before_its_expiry():
    clock = Clock()
    with Loopback(a_token("one"), a_token("two")) as server, tokens_from(server.url, clock=clock) as tokens:
        assert tokens.get() == "one"
        clock.now += 839.9
        assert tokens.get() == "one"
        clock.now += 0.1
        assert tokens.get() == "two"


@pytest.mark.parametrize("expires_in", [0, 1, 60, -5])
def test_a_token_with_a_very_short_lifetime_is_used(expires_in):
    with Loopback(a_token("one", expires_in)) as server, tokens_from(server.url) as tokens:
        assert tokens.get() == "one"


@pytest.mark.parametrize(
    "document",
    [
        {"access_token": "one"},
        {"access_token": "one", "expires_in": None},
        {"access_token": "one", "expires_in": 900, "refresh_token": None, "scope": 5},
        {"access_token": "one", "expires_in": 900.5},
    ],
)
def test_a_token_is_read_from_its_required_keys(document):
    with Loopback(answer(200, document)) as server, tokens_from(server.url) as tokens:
        assert tokens.get() == "one"


@pytest.mark.parametrize(
    "step",
    [
        answer(400, {"error": "invalid_client"}),
        answer(401, b""),
        answer(403, b"<html>", "text/html"),
        answer(500, {"access_token": "one"}),
        answer(503, b""),
        answer(302, b"", location="/elsewhere"),
        answer(200, b"<html>", "text/html"),
        answer(200, b""),
        answer(200, b"{"),
        answer(200, b"\xff\xfe\xff"),
        answer(200, b"null"),
        answer(200, []),
        answer(200, "text"),
        answer(200, {}),
        answer(200, {"access_token": ""}),
        answer(200, {"access_token": None}),
        answer(200, {"access_token": 5}),
        answer(200, {"access_token": "one", "expires_in": "soon"}),
        truncated(b'{"access_token": "one"'),
        reset,
        garbage,
    ],
)
def test_an_endpoint_without_a_token_in_its_answer_counts_as_a_refusal(step):
    with Loopback(step) as server, tokens_from(server.url) as tokens, pytest.raises(TokenRefusedError):
        tokens.get()


def test_missing_certificate_files_count_as_no_answer(tmp_path):
    meter = FakeMeter()
    with Loopback(a_token()) as server:
        session = new_session(1, ca_file=str(tmp_path / "gone.pem"))
        tokens = Tokens(Credentials(server.url.replace("http:", "https:"), "us", "secret"), session)
        back_end = BackEnd("recommendations", server.url, connections=1, tokens=tokens, meter=meter)
        with pytest.raises(NoAnswerError):
            back_end.post_once("/x", {}, LONG)
    assert meter.calls == [("recommendations", CallOutcome.NO_ANSWER)]


def test_an_unreachable_endpoint_counts_as_a_refusal():
    with tokens_from(refused_url()) as tokens, pytest.raises(TokenRefusedError):
        tokens.get()


def test_after_a_refusal_the_next_call_requests_a_token_again():
    with Loopback(answer(500), a_token("one")) as server, tokens_from(server.url) as tokens:
        with pytest.raises(TokenRefusedError):
            tokens.get()
        assert tokens.get() == "one"


def test_the_error_of_a_refusal_does_not_contain_the_secret():
    with (
        Loopback(answer(401, {"error": "s&cret="})) as server,
        tokens_from(server.url) as tokens,
        pytest.raises(TokenRefusedError) as refused,
    ):
        tokens.get()
    assert "cret" not in str(refused.value)


def test_one_refresh_serves_all_waiting_calls():
    step = answer(200, {"access_token": "one", "expires_in": 900}, after=0.2)
    with Loopback(step) as server, tokens_from(server.url) as tokens:
        assert at_once(20, tokens.get) == ["one"] * 20
    assert len(server.asked) == 1


def test_a_refusal_is_shared_by_all_waiting_calls():
    # Until all calls wait, but not longer than they do.
    with Loopback(answer(500, after=min(STRETCH, 4.0))) as server, tokens_from(server.url) as tokens:

        def refused():
            with pytest.raises(TokenRefusedError):
                tokens.get()

        at_once(20, refused)
    assert len(server.asked) == 1


def test_a_late_refusal_of_an_old_token_does_not_discard_the_new_one():
    with Loopback(a_token("one"), a_token("two"), a_token("three")) as server, tokens_from(server.url) as tokens:
        old = tokens.get()
        tokens.invalidate(old)
        assert tokens.get() == "two"
        tokens.invalidate(old)
        assert tokens.get() == "two"


def test_a_call_carries_the_token(composer):
    composer.steer(require_token=True)
    with tokens_from(composer.token_url) as tokens, calling(composer.url, tokens) as back_end:
        assert [back_end.get(f"{BASE}/openapi", LONG).status for _ in range(3)] == [200] * 3
    assert composer.counters() == {"POST /token": 1, "GET /openapi": 3}


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("method", ["get", "delete", "post_once"])
def test_a_call_with_an_expired_token_is_repeated_once_with_a_new_one(method, status):
    with (
        Loopback(a_token("old"), a_token("new")) as endpoint,
        Loopback(answer(status), answer(200)) as server,
        tokens_from(endpoint.url) as tokens,
        calling(server.url, tokens) as back_end,
    ):
        body = ({"a": 1},) if method == "post_once" else ()
        assert getattr(back_end, method)("/x", *body, LONG).status == 200
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer old", "Bearer new"]
    assert len({asked.body for asked in server.asked}) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_a_fresh_token_is_the_answer_of_the_call(status):
    with (
        Loopback(a_token("old"), a_token("new")) as endpoint,
        Loopback(answer(status)) as server,
        tokens_from(endpoint.url) as tokens,
        calling(server.url, tokens) as back_end,
    ):
        assert back_end.get("/x", LONG).status == status
    assert (len(server.asked), len(endpoint.asked)) == (2, 2)


def test_a_call_renews_its_token_once_in_all_its_attempts():
    with (
        Loopback(a_token("one"), a_token("two"), a_token("three")) as endpoint,
        Loopback(answer(401), answer(503), answer(401)) as server,
        tokens_from(endpoint.url) as tokens,
        calling(server.url, tokens) as back_end,
    ):
        assert back_end.get("/x", LONG).status == 401
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer one", "Bearer two", "Bearer two"]
    assert len(endpoint.asked) == 2


def test_without_credentials_a_401_is_the_answer():
    with Loopback(answer(401)) as server, calling(server.url, None) as back_end:
        assert back_end.get("/x", LONG).status == 401
    assert len(server.asked) == 1
    assert "authorization" not in server.asked[0].headers


def test_twenty_calls_with_an_expired_token_share_one_renewal(composer):
    composer.steer(require_token=True, latency=0.05)
    with tokens_from(composer.token_url) as tokens, calling(composer.url, tokens) as back_end:
        back_end.get(f"{BASE}/openapi", LONG)
        composer.steer(revoke_tokens=True)
        assert at_once(20, lambda: back_end.get(f"{BASE}/openapi", LONG).status) == [200] * 20
    assert composer.counters()["POST /token"] == 2


@pytest.mark.parametrize("method", ["get", "delete", "post_once"])
def test_without_a_token_nothing_is_sent(method):
    with (
        Loopback(answer(500)) as endpoint,
        Loopback() as server,
        tokens_from(endpoint.url) as tokens,
        calling(server.url, tokens) as back_end,
    ):
        body = ({},) if method == "post_once" else ()
        with pytest.raises(NoAnswerError) as refused:
            getattr(back_end, method)("/x", *body, LONG)
    assert not refused.value.sent
    assert server.asked == []


def test_a_failed_refresh_after_a_401_means_that_no_build_was_started():
    with (
        Loopback(a_token("old"), answer(503)) as endpoint,
        Loopback(answer(401)) as server,
        tokens_from(endpoint.url) as tokens,
        calling(server.url, tokens) as back_end,
        pytest.raises(NoAnswerError) as refused,
    ):
        back_end.post_once("/x", {}, LONG)
    assert not refused.value.sent
    assert len(server.asked) == 1
