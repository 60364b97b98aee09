"""Answers over connections that were used before: they are read at once where they are plain, and mean the same."""

from __future__ import annotations

import gc
import gzip
import time
from contextlib import closing
from pathlib import Path

import pytest

from adapters.http.client import Answer, BackEnd, NoAnswerError, Timeouts
from tests.support.loopback import Loopback, Step, Visit, answer, close, garbage, hang, reset, truncated
from tests.support.tls import Authority
from tests.support.waiting import BRIEFLY, PATIENCE, SOON

LONG = Timeouts(connect=PATIENCE, read=PATIENCE)
OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = OK + b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n[1, 2, 3]"
KIB = 1024
COMPRESSED = gzip.compress(b"[2]", mtime=0)

ANSWERS = {
    "plain": PLAIN,
    "no body": OK + b"Content-Length: 0\r\n\r\n",
    "no reason": b"HTTP/1.1 201 \r\nContent-Length: 2\r\n\r\n{}",
    "no blank after the status": b"HTTP/1.1 201\r\nContent-Length: 2\r\n\r\n{}",
    "an error": b'HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\n{"id": "12"}',
    "a time to retry": b"HTTP/1.1 418 Teapot\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}",
    "204 with a length": b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    "blanks around a value": OK + b"Content-Length:\t 2 \t\r\n\r\n{}",
    "no blank before a value": OK + b"content-length:2\r\n\r\n{}",
    "a header of other letters": OK + b"X-Name: M\xfcller\r\nContent-Length: 2\r\n\r\n{}",
    "a folded header": OK + b"X-Long: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "lines that end with line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "a header twice": OK + b"Via: a\r\nVia: b\r\nContent-Length: 2\r\n\r\n{}",
    "its length twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}!",
    "chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks and a length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "compressed": OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(COMPRESSED), COMPRESSED),
    "keeps the connection": OK + b"Connection: keep-alive\r\nContent-Length: 2\r\n\r\n{}",
    "of HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "of HTTP/2": b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "after an interim answer": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + PLAIN,
    "another answer follows": PLAIN + OK + b"Content-Length: 7\r\n\r\n[other]",
    "bytes follow": PLAIN + b"[other]",
    "a long one": OK + b"Content-Length: %d\r\n\r\n" % (60 * KIB) + b"a" * 60 * KIB,
    "a longer one": OK + b"Content-Length: %d\r\n\r\n" % (64 * KIB) + b"a" * 64 * KIB,
    "too long a one": OK + b"Content-Length: %d\r\n\r\n" % (2 * KIB * KIB) + b"a" * 2 * KIB * KIB,
    "101 headers": OK + b"X-A: b\r\n" * 101 + b"Content-Length: 2\r\n\r\n{}",
    "no HTTP": b"hello\r\n\r\n",
}


def raw(*parts: bytes, ends: bool = False) -> Step:
    """Send these bytes one after another; `ends` closes the connection then."""

    def step(visit: Visit) -> bool:
        for number, part in enumerate(parts):
            if number:
                visit.ending.wait(0.002)  # so that they are received separately
            visit.connection.sendall(part)
        return not ends

    return step


def outcome(back_end: BackEnd) -> Answer | str:
    try:
        return back_end.post_once("/a", {}, LONG, max_idle=PATIENCE)
    except NoAnswerError as error:
        return f"{type(error).__name__}, {error.sent}"


@pytest.mark.parametrize("sent", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("ends", [False, True], ids=["and stays", "and goes"])
def test_an_answer_means_the_same_on_a_new_connection_and_on_a_used_one(sent: bytes, ends: bool) -> None:
    outcomes = []
    for before in ([], [answer(200, b'"before"')]):
        with (
            Loopback(*before, raw(sent, ends=ends), answer(200, b'"after"')) as server,
            closing(BackEnd("composer", server.url, connections=1)) as back_end,
        ):
            for _ in before:
                assert outcome(back_end) == Answer(200, b'"before"')
            outcomes.append(outcome(back_end))
            assert back_end.get("/a", LONG) == Answer(200, b'"after"')
    assert outcomes[0] == outcomes[1]


def test_an_answer_may_arrive_in_two_parts() -> None:
    parts = [raw(PLAIN[:end], PLAIN[end:]) for end in range(1, len(PLAIN))]
    with Loopback(answer(), *parts) as server, closing(BackEnd("composer", server.url, connections=1)) as back_end:
        outcome(back_end)
        assert [outcome(back_end) for _ in parts] == [Answer(200, b"[1, 2, 3]")] * len(parts)
    assert server.connections == 1


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("size", [2, 9_000, 20_000, 60_000, 100_000])
@pytest.mark.parametrize("in_two", [False, True], ids=["at once", "after its head"])
def test_what_follows_an_answer_is_not_the_answer_to_the_next_request(
    size: int, encrypted: bool, in_two: bool, ours: Authority
) -> None:
    head, body = OK + b"Content-Length: %d\r\n\r\n" % size, b"a" * size
    other = OK + b"Content-Length: 7\r\n\r\n[other]"
    first = raw(head, body + other) if in_two else raw(head + body + other)
    tls, ca_file = (ours.server, ours.file) if encrypted else (None, "")
    with (
        Loopback(answer(), first, answer(200, b'"next"'), tls=tls) as server,
        closing(BackEnd("composer", server.url, connections=1, ca_file=ca_file)) as back_end,
    ):
        outcome(back_end)
        assert outcome(back_end) == Answer(200, body)
        time.sleep(0.02)  # all of it has arrived
        assert outcome(back_end) == Answer(200, b'"next"')


@pytest.mark.parametrize("length", [b"9" * 5000, b"0" * 49])
def test_a_build_is_sent_once_whatever_the_answer_says_of_its_length(length: bytes) -> None:
    odd = raw(OK + b"Content-Length: " + length + b"\r\n\r\n", b"body", ends=True)
    with (
        Loopback(answer(), odd, answer()) as server,
        closing(BackEnd("composer", server.url, connections=1)) as back_end,
    ):
        outcome(back_end)
        outcome(back_end)
        assert len(server.asked) == 2


def test_an_answer_longer_than_the_call_takes_is_refused_on_a_used_connection() -> None:
    with (
        Loopback(answer(200, b"a" * 300)) as server,
        closing(BackEnd("composer", server.url, connections=1)) as back_end,
    ):
        assert back_end.get("/a", LONG, max_bytes=300).body == b"a" * 300
        with pytest.raises(NoAnswerError):
            back_end.get("/a", LONG, max_bytes=299)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("status_line", [OK, b"HTTP/1.0 200 OK\r\n"], ids=["HTTP/1.1", "HTTP/1.0"])
def test_an_answer_that_ends_with_its_connection_is_abandoned_at_the_deadline_on_a_used_one(status_line: bytes) -> None:
    def drip(visit: Visit) -> bool:
        visit.connection.sendall(status_line + b"Connection: close\r\n\r\n")
        while not visit.ending.wait(0.02):
            visit.connection.sendall(b"a")
        return False

    with Loopback(answer(), drip) as server, closing(BackEnd("composer", server.url, connections=1)) as back_end:
        outcome(back_end)
        began = time.monotonic()
        with pytest.raises(NoAnswerError):
            back_end.post_once("/a", {}, Timeouts(PATIENCE, PATIENCE, total=BRIEFLY), max_idle=PATIENCE)
        assert time.monotonic() - began < SOON


def test_a_deadline_ends_a_call_on_a_connection_that_replaced_an_unusable_one() -> None:
    hanging = Timeouts(PATIENCE, PATIENCE, total=BRIEFLY)
    steps = (answer(), raw(PLAIN, ends=True), answer(), hang)
    with Loopback(*steps) as server, closing(BackEnd("composer", server.url, connections=1)) as back_end:
        for _ in range(3):  # the second connection ends, and the third replaces it
            back_end.get("/a", LONG)
            time.sleep(0.05)
        began = time.monotonic()
        with pytest.raises(NoAnswerError):
            back_end.get("/a", hanging)
        assert time.monotonic() - began < SOON


@pytest.mark.parametrize(
    "failing",
    [raw(PLAIN[:30], ends=True), truncated(), close, reset, garbage, raw(ANSWERS["two lengths"], ends=True)],
    ids=["half a head", "half a body", "close", "reset", "garbage", "two lengths"],
)
def test_failed_calls_leave_no_descriptors(failing: Step) -> None:
    steps = (answer(), failing, answer())

    def fail(times: int) -> None:
        with Loopback(*steps) as server:
            for _ in range(times):
                server.steps[:] = steps
                with closing(BackEnd("composer", server.url, connections=2)) as back_end:
                    for _ in steps:
                        outcome(back_end)

    fail(1)  # now the thread of the deadlines runs
    gc.collect()
    before = open_descriptors()
    gc.disable()
    try:
        fail(5)
        assert open_descriptors() <= before
    finally:
        gc.enable()
