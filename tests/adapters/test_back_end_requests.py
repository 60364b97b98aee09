"""Requests to a back-end: path, query, and headers."""

from contextlib import contextmanager

import pytest
import stamina

from adapters.http.client import BackEnd, NoAnswerError, Timeouts, path_segment
from tests.support.loopback import Loopback, answer, close

LONG = Timeouts(connect=5.0, read=10.0)


@pytest.fixture(autouse=True)
def _attempts_without_pauses():
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@contextmanager
def calling(*steps):
    with Loopback(*steps) as server:
        back_end = BackEnd("content sources", server.url, connections=2)
        try:
            yield back_end, server
        finally:
            back_end.close()


@pytest.mark.parametrize("method", ["get", "post_idempotent", "post_once", "delete"])
def test_headers_are_sent_and_the_query_is_encoded(method):
    body = ({},) if method in {"post_idempotent", "post_once"} else ()
    with calling() as (back_end, server):
        options = {"headers": {"x-rh-identity": "e30="}, "params": [("url", "https://h/a b?c=d&e#f%2C,g"), ("é", "")]}
        getattr(back_end, method)("/x/", *body, LONG, **options)
    (asked,) = server.asked
    assert asked.path == "/x/?url=https%3A%2F%2Fh%2Fa%20b%3Fc%3Dd%26e%23f%252C%2Cg&%C3%A9="
    assert asked.headers["x-rh-identity"] == "e30="
    assert asked.headers["accept"] == "application/json"


def test_the_headers_of_a_call_are_not_sent_with_the_next_one():
    with calling() as (back_end, server):
        back_end.get("/x", LONG, headers={"x-rh-identity": "e30="})
        back_end.get("/x", LONG)
    assert "x-rh-identity" not in server.asked[1].headers


@pytest.mark.parametrize("step", [close, answer(503)], ids=["close", "503"])
def test_a_repeatable_post_is_repeated_like_a_get(step):
    with calling(step, step, answer(200, b"[]")) as (back_end, server):
        assert back_end.post_idempotent("/x", {"a": 1}, LONG).json() == []
    assert [(asked.method, asked.body) for asked in server.asked] == [("POST", b'{"a":1}')] * 3


def test_a_repeatable_post_is_repeated_a_limited_number_of_times():
    with calling(close) as (back_end, server), pytest.raises(NoAnswerError):
        back_end.post_idempotent("/x", {}, LONG)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("1", "/a/1/b"),
        ("../../x", "/a/..%2F..%2Fx/b"),
        ("..\\x", "/a/..%5Cx/b"),
        ("%2e%2e", "/a/%252e%252e/b"),
        ("%2F", "/a/%252F/b"),
        ("x?y=z#w", "/a/x%3Fy%3Dz%23w/b"),
        ("a b;c,d:e@f", "/a/a%20b%3Bc%2Cd%3Ae%40f/b"),
        ("...", "/a/.../b"),
        ("é\r\nX: y\0", "/a/%C3%A9%0D%0AX%3A%20y%00/b"),
    ],
)
def test_a_path_segment_is_encoded_as_one_segment(text, path):
    with calling() as (back_end, server):
        back_end.get(f"/a/{path_segment(text)}/b", LONG)
    assert server.asked[0].path == path


@pytest.mark.parametrize("text", ["", ".", "..", "\ud800"])
def test_an_invalid_path_segment_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - there is no text to show
        path_segment(text)


def test_a_header_that_cannot_be_sent_counts_as_no_answer():
    with calling() as (back_end, server), pytest.raises(NoAnswerError):
        back_end.get("/x", LONG, headers={"x-rh-identity": "\u20ac"})
    assert server.asked == []
