"""Back-ends over TLS and through proxies, over real sockets."""

import os
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
import requests

from adapters.http.client import Answer, BackEnd, NoAnswerError, Timeouts, new_session
from adapters.http.tokens import Credentials, Tokens
from ports.deadline import until
from tests.support.drip import DRIPS
from tests.support.loopback import Loopback, answer, close, hang, refused_url
from tests.support.proxy import proxying
from tests.support.waiting import BRIEFLY, PATIENCE, SOON

LONG = Timeouts(connect=2 * PATIENCE, read=2 * PATIENCE)
DRIP = replace(LONG, total=BRIEFLY)
HERE = answer(200, b'"here"')


@contextmanager
def calling(url, **options):
    back_end = BackEnd("back-end", url, connections=5, **options)
    try:
        yield back_end
    finally:
        back_end.close()


def silence(back_end, method="get", timeouts=DRIP):
    began = time.monotonic()
    with pytest.raises(NoAnswerError) as silent:
        getattr(back_end, method)("/x", *([{}] if method == "post_once" else []), timeouts)
    return silent.value, time.monotonic() - began


# Certificate authorities


def test_a_request_on_a_connection_that_broke_after_sending_may_have_arrived(ours):
    def breaking(visit):
        os.write(visit.connection.fileno(), b"this is no record of TLS")
        return False

    with Loopback(breaking, tls=ours.server) as server, calling(server.url, ca_file=ours.file) as back_end:
        error, _ = silence(back_end, "post_once", LONG)
    assert error.sent
    assert isinstance(error.__cause__, requests.exceptions.SSLError)


def test_a_server_with_a_certificate_of_the_configured_ca_is_trusted(ours):
    with Loopback(HERE, tls=ours.server) as server, calling(server.url, ca_file=ours.file) as back_end:
        assert back_end.get("/x", LONG) == Answer(200, b'"here"')


@pytest.mark.parametrize("trusted", ["another", "the system's"])
def test_a_server_with_a_certificate_of_another_ca_gets_no_request(ours, another, trusted):
    ca_file = another.file if trusted == "another" else ""
    with Loopback(HERE, tls=ours.server) as server, calling(server.url, ca_file=ca_file) as back_end:
        error, _ = silence(back_end, "post_once", LONG)
    assert not error.sent
    assert server.asked == []


def test_only_the_configured_ca_is_trusted(ours, another, monkeypatch):
    """An authority that `requests` would trust by default is not trusted."""
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", ours.file)
    with Loopback(HERE, tls=ours.server) as server:
        with calling(server.url) as back_end:
            back_end.get("/x", LONG)
        with calling(server.url, ca_file=another.file) as back_end:
            silence(back_end, "post_once", LONG)
    assert len(server.asked) == 1


def test_a_server_with_a_certificate_for_another_name_gets_no_request(ours):
    with Loopback(HERE, tls=ours.server) as server:
        elsewhere = server.url.replace("127.0.0.1", "localhost")
        with calling(elsewhere, ca_file=ours.file) as back_end:
            silence(back_end, "post_once", LONG)
    assert server.asked == []


def test_a_configured_ca_without_tls_has_no_effect(ours):
    with Loopback(HERE) as server, calling(server.url, ca_file=ours.file) as back_end:
        assert back_end.get("/x", LONG) == Answer(200, b'"here"')


def test_a_tls_connection_is_reused(ours):
    with Loopback(HERE, tls=ours.server) as server, calling(server.url, ca_file=ours.file) as back_end:
        back_end.get("/x", LONG)
        back_end.get("/x", LONG)
    assert server.connections == 1


# Deadlines


@pytest.mark.parametrize("method", ["get", "post_once"])
@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_a_slow_answer_over_tls_is_abandoned_at_the_deadline(ours, method, drip):
    with Loopback(drip, tls=ours.server) as server, calling(server.url, ca_file=ours.file) as back_end:
        error, took = silence(back_end, method)
    assert error.sent
    assert 0.75 * BRIEFLY < took < SOON
    assert len(server.asked) == 1


def test_a_slow_answer_on_a_reused_tls_connection_is_abandoned_at_the_deadline(ours):
    with (
        Loopback(answer(), DRIPS["a body"], tls=ours.server) as server,
        calling(server.url, ca_file=ours.file) as back_end,
    ):
        back_end.get("/x", LONG)
        _, took = silence(back_end)
    assert took < SOON
    assert server.connections == 1


def test_a_slow_tls_handshake_is_abandoned_at_the_deadline(ours):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections stand, and nothing comes
        port = silent.getsockname()[1]
        with calling(f"https://127.0.0.1:{port}", ca_file=ours.file) as back_end:
            _, took = silence(back_end)
    assert took < SOON


def test_slow_answers_over_tls_leave_no_thread_behind(ours):
    with Loopback(HERE, tls=ours.server) as server, calling(server.url, ca_file=ours.file) as back_end:
        back_end.get("/x", LONG)  # now the thread of call_deadline.py runs
    before = set(threading.enumerate())
    with Loopback(DRIPS["a body"], tls=ours.server) as server, calling(server.url, ca_file=ours.file) as back_end:
        silence(back_end)
    assert set(threading.enumerate()) <= before


# Proxies


def test_a_proxy_gets_the_complete_url():
    with (
        Loopback(HERE) as server,
        Loopback(proxying) as proxy,
        calling(server.url, proxy=proxy.url) as back_end,
    ):
        assert back_end.post_idempotent("/x", {"a": 1}, LONG, params=[("q", "a b")]) == Answer(200, b'"here"')
    assert [(asked.method, asked.path) for asked in proxy.asked] == [("POST", f"{server.url}/x?q=a%20b")]
    assert [(asked.path, asked.body) for asked in server.asked] == [("/x?q=a%20b", b'{"a":1}')]


def test_a_call_over_tls_uses_a_tunnel_through_the_proxy(ours):
    with (
        Loopback(HERE, tls=ours.server) as server,
        Loopback(proxying) as proxy,
        calling(server.url, proxy=proxy.url, ca_file=ours.file) as back_end,
    ):
        for _ in range(2):
            assert back_end.post_idempotent("/x", {"a": 1}, LONG) == Answer(200, b'"here"')
    place = server.url.removeprefix("https://")
    assert [(asked.method, asked.path, asked.body) for asked in proxy.asked] == [("CONNECT", place, b"")]
    assert server.connections == 1


def test_a_server_with_a_certificate_of_another_ca_gets_no_request_through_a_proxy(ours, another):
    with (
        Loopback(HERE, tls=ours.server) as server,
        Loopback(proxying) as proxy,
        calling(server.url, proxy=proxy.url, ca_file=another.file) as back_end,
    ):
        error, _ = silence(back_end, "post_once", LONG)
    assert not error.sent
    assert server.asked == []


def test_the_proxy_gets_the_proxy_credentials_and_the_server_does_not(ours):
    with Loopback(HERE, tls=ours.server) as server, Loopback(proxying) as proxy:
        known = proxy.url.replace("://", "://us:secret@")
        with calling(server.url, proxy=known, ca_file=ours.file) as back_end:
            back_end.get("/x", LONG)
    assert proxy.asked[0].headers["proxy-authorization"] == "Basic dXM6c2VjcmV0"
    assert "proxy-authorization" not in server.asked[0].headers


@pytest.mark.parametrize("step", [answer(407), answer(502), close], ids=["407", "502", "close"])
def test_a_refused_tunnel_counts_as_no_answer(ours, step):
    with (
        Loopback(HERE, tls=ours.server) as server,
        Loopback(step) as proxy,
        calling(server.url, proxy=proxy.url, ca_file=ours.file) as back_end,
    ):
        silence(back_end, "post_once", LONG)
    assert server.asked == []


def test_an_unavailable_proxy_counts_as_no_answer():
    with Loopback(HERE) as server, calling(server.url, proxy=refused_url()) as back_end:
        error, _ = silence(back_end, "post_once", LONG)
    assert not error.sent
    assert server.asked == []


@pytest.mark.parametrize("step", [hang, DRIPS["a status line"], DRIPS["one header"]], ids=["hang", "status", "header"])
def test_a_slow_tunnel_is_abandoned_at_the_deadline(ours, step):
    with (
        Loopback(HERE, tls=ours.server) as server,
        Loopback(step) as proxy,
        calling(server.url, proxy=proxy.url, ca_file=ours.file) as back_end,
    ):
        _, took = silence(back_end)
    assert took < SOON


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_a_slow_answer_through_a_tunnel_is_abandoned_at_the_deadline_and_leaves_no_thread(ours, drip):
    with Loopback(HERE, tls=ours.server) as server, calling(server.url, ca_file=ours.file) as back_end:
        back_end.get("/x", LONG)
    before = set(threading.enumerate())
    with (
        Loopback(drip, tls=ours.server) as server,
        Loopback(proxying) as proxy,
        calling(server.url, proxy=proxy.url, ca_file=ours.file) as back_end,
    ):
        error, took = silence(back_end)
    assert error.sent
    assert took < SOON
    assert set(threading.enumerate()) <= before


def test_a_slow_answer_of_the_proxy_itself_is_abandoned_at_the_deadline():
    with Loopback(DRIPS["a body"]) as proxy, calling("http://back-end.example.com", proxy=proxy.url) as back_end:
        _, took = silence(back_end)
    assert took < SOON


def test_a_token_is_fetched_through_the_same_proxy(ours):
    token = answer(200, {"access_token": "t", "expires_in": 900})
    with (
        Loopback(token, tls=ours.server) as endpoint,
        Loopback(HERE, tls=ours.server) as server,
        Loopback(proxying) as proxy,
    ):
        session = new_session(1, ours.file, proxy.url)
        tokens = Tokens(Credentials(endpoint.url, "us", "secret"), session)
        with calling(server.url, proxy=proxy.url, ca_file=ours.file, tokens=tokens) as back_end, until(10):
            back_end.get("/x", LONG)
        session.close()
    places = [url.removeprefix("https://") for url in (endpoint.url, server.url)]
    assert [asked.path for asked in proxy.asked] == places
    assert server.asked[0].headers["authorization"] == "Bearer t"
