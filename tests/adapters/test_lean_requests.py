"""What calls of back-ends leave out of `requests` and `http.client` changes neither requests nor answers."""

from __future__ import annotations

import http.client
import io
import re
from collections.abc import Mapping
from typing import Any

import pytest
import requests
from urllib3.connection import HTTPConnection

from adapters.http.bounded_responses import _parse_headers, _read_header_lines
from adapters.http.exchange import _prepare, new_session
from adapters.http.lean_connection import LeanConnection

URLS = (
    "http://composer/api/image-builder-composer/v2/compose",
    "https://content-sources.example.com:8443/api/v1.0/repositories/?url=http%3A%2F%2Fa%2Fb&limit=3",
    "http://10.0.0.1:99999/a",
    "http://user:secret@composer:8080/api",
    "http://composer/a/../b/./c",
    "http://composer",
    "http://Composer.Example.COM/A",
    "http://b\u00fccher.example/caf\u00e9 one",
    "http://[::1]:8080/a?b=c#d",
)
BODIES = (None, b"", b'{"a": 1}', {"grant_type": "client_credentials", "scope": "a b"})


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("body", BODIES)
def test_a_prepared_request_is_the_one_that_requests_would_send(
    url: str, body: bytes | Mapping[str, str] | None
) -> None:
    session = new_session(1)
    headers = {"Accept": "application/json", "Content-Type": "application/json", "x-rh-identity": "abc"}
    ours: requests.PreparedRequest | str
    expected: requests.PreparedRequest | str
    try:
        expected = session.prepare_request(requests.Request("POST", url, headers=headers, data=body))
    except requests.RequestException as error:
        expected = type(error).__name__
    try:
        ours = _prepare("POST", url, body, {**session.headers, **headers})
    except requests.RequestException as error:
        ours = type(error).__name__
    if isinstance(expected, str) or isinstance(ours, str):
        assert ours == expected
        return
    assert (ours.method, ours.url, ours.path_url, ours.body, dict(ours.headers)) == (
        *(expected.method, expected.url, expected.path_url, expected.body),
        dict(expected.headers),
    )


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n",
        b"A:b\r\nA: c\r\na:\td \r\n\r\n",
        b"Empty:\r\n\r\n",
        b"Latin: \xe9\xff\r\n\r\n",
        b"\r\n",
        b"Folded: a\r\n b\r\n\r\n",
        b"Bare: line\n\n",
        b"no colon\r\nA: b\r\n\r\n",
        b"Space : a\r\nB: c\r\n\r\n",
        b"Control: a\x00b\x0bc\r\n\r\n",
        b"Carriage: a\rb: c\r\n\r\n",
        b"Cut: off",
        b"Content-Type: multipart/mixed; boundary=a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_headers_are_read_as_http_client_reads_them(head: bytes) -> None:
    stream, rest = io.BytesIO(head + b"body"), io.BytesIO(head + b"body")
    found = _parse_headers(_read_header_lines(stream))
    assert _pairs(found) == [
        # urllib3 and RFC 9112, section 5.2, want a blank in place of a line break in a value.
        (name, re.sub(r"\r\n ", " ", value))
        for name, value in _pairs(http.client.parse_headers(rest))
    ]
    assert stream.read() == rest.read()


def _pairs(headers: Any) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in headers.items()]


class _Written(LeanConnection):
    """A connection that keeps what it is told to send."""

    def send(self, data: Any) -> None:
        self.written = getattr(self, "written", b"") + data


def _sent_by(kind: type[Any], url: str, body: Any, headers: Mapping[str, str]) -> tuple[bytes, list[bytes], bytes]:
    """What a kind of connection writes: the request line, its headers in order of the alphabet, and the body."""
    connection = kind("composer", 8080)
    connection.request("POST", url, body, headers)
    head, _, rest = connection.written.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    return line, sorted(fields), rest


class _WrittenByUrllib3(HTTPConnection):
    send = _Written.send


@pytest.mark.parametrize("body", [None, b"", b'{"a": 1}', "caf\u00e9", b"x" * 100_000])
@pytest.mark.parametrize("url", ["/a?b=c", "http://elsewhere.example:81/a"])
@pytest.mark.parametrize(
    "headers",
    [
        {"User-Agent": "me", "Accept": "*/*", "X-Name": "\u00e9"},
        {"User-Agent": "me", "host": "other", "accept-encoding": "gzip", "CONTENT-LENGTH": "8"},
    ],
)
def test_a_request_is_written_as_urllib3_writes_it(url: str, body: Any, headers: Mapping[str, str]) -> None:
    assert _sent_by(_Written, url, body, headers) == _sent_by(_WrittenByUrllib3, url, body, headers)


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [("composer", 80, "composer"), ("::1", 8080, "[::1]:8080"), ("fe80::1%eth0", 80, "[fe80::1]")],
)
def test_the_host_of_a_request_is_that_of_its_connection(host: str, port: int, expected: str) -> None:
    connection = _Written(host, port)
    connection.request("GET", "/a", None, {})
    assert f"\r\nHost: {expected}\r\n".encode() in connection.written


def test_the_host_of_a_request_through_a_tunnel_is_where_the_tunnel_ends() -> None:
    connection = _Written("proxy", 3128)
    connection.set_tunnel("composer", 443)
    connection.request("GET", "/a", None, {})
    assert b"\r\nHost: composer:443\r\n" in connection.written


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("x-rh-insights-request-id", value) for value in ("a\r\nb: c", "a\nb", "a\rb", "a\0b", None, 1, b"a")],
        *[(name, "a") for name in ("", "a:b", "a b", "a\r\nb", "caf\u00e9")],
    ],
)
def test_a_header_that_would_break_the_request_is_refused(name: str, value: Any) -> None:
    with pytest.raises(requests.exceptions.InvalidHeader):
        _Written("composer").request("GET", "/a", None, {name: value})


@pytest.mark.parametrize("url", ["/a b", "/a\r\nHost: b", "/caf\u00e9", ""])
def test_a_target_that_would_break_the_request_is_refused(url: str) -> None:
    with pytest.raises(requests.exceptions.InvalidURL):
        _Written("composer").request("GET", url, None, {})


def test_a_body_of_unknown_length_is_refused() -> None:
    with pytest.raises(ValueError, match="known length"):
        _Written("composer").request("POST", "/a", b"", {}, chunked=True)


def test_lines_and_headers_have_the_limits_of_http_client() -> None:
    with pytest.raises(http.client.LineTooLong):
        _read_header_lines(io.BytesIO(b"a: " + b"b" * 70_000 + b"\r\n\r\n"))
    with pytest.raises(http.client.HTTPException):
        _read_header_lines(io.BytesIO(b"a: b\r\n" * 101 + b"\r\n"))
    assert len(_read_header_lines(io.BytesIO(b"a: b\r\n" * 99 + b"\r\n"))) == 100
