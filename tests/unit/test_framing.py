"""The end of a request (RFC 9112): heads and bodies that are accepted, and those that are refused."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_builder.http.framing import (
    ChunkedDecoder,
    FramingError,
    LengthDecoder,
    TooManyFieldsError,
    may_become_head,
    parse_head,
)
from tests.support.waiting import SOON


def head(*lines: bytes, request: bytes = b"POST /x HTTP/1.1", host: bytes | None = b"Host: a") -> bytes:
    return b"\r\n".join([request, *([host] if host is not None else []), *lines])


def decoded(raw: bytes, *cuts: int) -> tuple[bytes, bytes, bool]:
    """Decode a chunked body that arrives in parts; return the body, the bytes after it, and whether it is complete."""
    decoder = ChunkedDecoder()
    body = behind = b""
    for start, end in pairwise([0, *sorted(cuts), len(raw)]):
        if decoder.done:
            behind += raw[start:end]
        else:
            part, behind = decoder.feed(raw[start:end])
            body += part
    return body, behind, decoder.done


@pytest.mark.parametrize(
    "raw",
    [
        head(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        head(b"Content-Length: 5", b"Content-Length: 5"),
        head(b"Content-Length: 5, 5"),
        head(b"Content-Length: +5"),
        head(b"Content-Length: -5"),
        head(b"Content-Length: 0x5"),
        head(b"Content-Length: 5 5"),
        head(b"Content-Length:"),
        head(b"Content-Length: " + b"9" * 20),
        head(b"Transfer-Encoding: xchunked"),
        head(b"Transfer-Encoding: chunked, identity"),
        head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        head(b"Transfer-Encoding: identity"),
        head(b"Transfer-Encoding: \x0bchunked"),
        head(b"Transfer-Encoding : chunked"),
        head(b"Transfer-Encoding: chunked", request=b"POST /x HTTP/1.0"),
        head(b"X: a\nTransfer-Encoding: chunked"),
        head(b"X: a\rTransfer-Encoding: chunked"),
        head(b"X: a", b" folded"),
        head(b": a"),
        head(b"X"),
        head(b"X\0: a"),
        head(host=None),
        head(b"Host: b"),
        head(host=b"Host: a b"),
        head(host=b"Host: a/b"),
        head(request=b"CONNECT a:1 HTTP/1.1"),
        head(request=b"GET  /x HTTP/1.1"),
        head(request=b"GET /x HTTP/1.2"),
        head(request=b"GET /x HTTP/2.0"),
        head(request=b"GET /x"),
        head(request=b"get /x HTTP/1.1"),
        head(request=b"GET /\xff HTTP/1.1"),
        head(request=b"PRI * HTTP/2.0", host=None),
    ],
    ids=ascii,
)
def test_an_ambiguous_head_is_refused(raw: bytes) -> None:
    with pytest.raises(FramingError):
        parse_head(raw)


def test_an_upgrade_header_is_ignored_and_does_not_end_the_body() -> None:
    read = parse_head(head(b"Connection: Upgrade", b"uPGRADE: anything", b"HTTP2-Settings: x", b"Content-Length: 7"))
    assert read.length == 7
    assert read.headers == [(b"host", b"a"), (b"connection", b"Upgrade"), (b"content-length", b"7")]
    assert not read.keep_alive


def test_white_space_around_a_header_value_is_removed() -> None:
    assert parse_head(head(b"X: \t a b\t ")).headers[-1] == (b"x", b"a b")


@pytest.mark.parametrize(
    ("lines", "keep_alive"),
    [((), True), ((b"Connection: keep-alive",), True), ((b"Connection: x, Close",), False)],
)
def test_a_connection_stays_open_unless_the_client_closes_it(lines: tuple[bytes, ...], *, keep_alive: bool) -> None:
    assert parse_head(head(*lines)).keep_alive is keep_alive


def test_http_1_0_needs_no_host_and_closes() -> None:
    read = parse_head(head(request=b"GET /x HTTP/1.0", host=None))
    assert (read.length, read.keep_alive) == (0, False)


@pytest.mark.parametrize(
    "raw", [b"\x16\x03\x01", b"\0" * 10, b"get", b"GET /x\xff", b"GET /x HTTP/1.1\nHost: a", b"GET /x HTTQ"]
)
def test_bytes_that_cannot_begin_a_head_are_refused_early(raw: bytes) -> None:
    assert not may_become_head(raw)


@given(st.data())
def test_every_beginning_of_a_valid_head_is_accepted(data: st.DataObject) -> None:
    raw = head(b"Content-Length: 5", b"X: " + b"a" * 50)
    assert may_become_head(raw[: data.draw(st.integers(1, len(raw)))])


CHUNKED = b'5;name="value"\r\nhello\r\n00c\r\n, wide world\r\n0\r\nx-rh-identity: z\r\n\r\n'


@given(st.lists(st.integers(0, len(CHUNKED) + 6), max_size=12))
def test_a_chunked_body_is_the_same_however_it_arrives(cuts: list[int]) -> None:
    assert decoded(CHUNKED + b"behind", *cuts) == (b"hello, wide world", b"behind", True)


@pytest.mark.parametrize(
    "raw",
    [
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"5\r\nhello\n\n0\r\n\r\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b"-1\r\n",
        b"1" * 16 + b"\r\n",
        b"0\r\nno field\r\n\r\n",
        b"0\r\n folded\r\n\r\n",
        b"5;" + b"a" * 100_000,
        b"1\r\na\r\n" * 100_000,
        b"3\r\nabc\r\n" * 100_000,
        (b"40\r\n" + b"a" * 64 + b"\r\n") * 20_000,
    ],
    ids=lambda raw: ascii(raw[:20]),
)
def test_an_ambiguous_or_costly_chunked_body_is_refused(raw: bytes) -> None:
    with pytest.raises(FramingError):
        decoded(raw)


@pytest.mark.parametrize(("size", "count"), [(1, 6_000), (20, 5_000), (128, 30_000)])
def test_a_body_may_have_many_small_chunks(size: int, count: int) -> None:
    raw = (b"%x\r\n%b\r\n" % (size, b"a" * size)) * count + b"0\r\n\r\n"
    assert decoded(raw, *range(1000, len(raw), 1000)) == (b"a" * size * count, b"", True)


def test_a_body_with_a_content_length_ends_at_that_length() -> None:
    decoder = LengthDecoder(5)
    assert decoder.feed(b"hel") == (b"hel", b"")
    assert not decoder.done
    assert decoder.feed(b"lo world") == (b"lo", b" world")
    assert decoder.done


@pytest.mark.parametrize("raw", [b"X:" + b" " * 60_000 + b"\x01", b"X: " + b"\t " * 30_000 + b"\x7f", b"a" * 60_000])
def test_an_invalid_header_is_refused_in_linear_time(raw: bytes) -> None:
    began = time.process_time()
    with pytest.raises(FramingError):
        parse_head(head(raw))
    with pytest.raises(FramingError):
        decoded(b"0\r\n" + raw[:15_000] + b"\x01\r\n\r\n")
    assert time.process_time() - began < SOON


def test_a_head_with_very_many_headers_is_refused() -> None:
    assert len(parse_head(head(*[b"a:"] * 1000)).headers) == 1001
    with pytest.raises(TooManyFieldsError):
        parse_head(head(*[b"a:"] * 3000))
