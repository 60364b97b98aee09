"""What calls of back-ends leave out of `requests` and `http.client` changes neither requests nor answers."""

from __future__ import annotations

import http.client
import io
from collections.abc import Mapping

import pytest
import requests

from adapters.http.bounded_responses import _parse_headers, _read_header_lines
from adapters.http.exchange import _prepare, new_session

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
        ours = _prepare(session, "POST", url, body, headers)
    except requests.RequestException as error:
        ours = type(error).__name__
    if isinstance(expected, str) or isinstance(ours, str):
        assert ours == expected
        return
    assert (ours.method, ours.url, ours.path_url, ours.body, dict(ours.headers)) == (
        *(expected.method, expected.url, expected.path_url, expected.body),
        dict(expected.headers),
    )


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", " a"])
def test_a_header_that_would_break_the_request_is_refused(value: str) -> None:
    with pytest.raises(requests.exceptions.InvalidHeader):
        _prepare(new_session(1), "GET", "http://composer/a", None, {"x-rh-insights-request-id": value})


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
    assert found.items() == http.client.parse_headers(rest).items()
    assert stream.read() == rest.read()


def test_lines_and_headers_have_the_limits_of_http_client() -> None:
    with pytest.raises(http.client.LineTooLong):
        _read_header_lines(io.BytesIO(b"a: " + b"b" * 70_000 + b"\r\n\r\n"))
    with pytest.raises(http.client.HTTPException):
        _read_header_lines(io.BytesIO(b"a: b\r\n" * 101 + b"\r\n"))
    assert len(_read_header_lines(io.BytesIO(b"a: b\r\n" * 99 + b"\r\n"))) == 100
