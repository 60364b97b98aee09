"""Parts of `requests` and `http.client` that read answers of untrusted servers in bounded memory."""

from __future__ import annotations

import email.parser
import http.client
import re
from http import HTTPStatus
from typing import Any, Final

import requests
from urllib3 import HTTPHeaderDict

# As in http.client.
_MAX_LINE: Final = 65_536
_MAX_HEADERS: Final = 100
# Digits of a length.
_MAX_DIGITS: Final = 18
_PLAIN_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)\r\n")
# A line break in a value that goes on in the next line (RFC 9112, section 5.2).
_FOLD: Final = re.compile(r"[ \t]*\r?\n[ \t]+")


class NoRedirectSession(requests.Session):
    """A session that returns redirects to the caller instead of following them.

    `requests` would read the whole body of a redirect into memory, even with `allow_redirects=False`.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None, so that `requests` treats no answer as a redirect."""


class BoundedResponse(http.client.HTTPResponse):
    """An answer of http.client that raises HTTPException for a chunk of negative size.

    For a size of -1, urllib3 and http.client would read until the connection ends.
    """

    def begin(self) -> None:
        """Read the status line and the headers, as http.client does, but plain headers without the parser of e-mails.

        That parser takes a fifth of the time of a call. It still reads headers of any other form.
        """
        reading: Any = self  # some of these fields are missing in typeshed
        if reading.headers is not None:
            return
        status = int(HTTPStatus.CONTINUE)
        # An interim answer precedes the answer; after 101 the server speaks another protocol.
        while status < HTTPStatus.OK and status != HTTPStatus.SWITCHING_PROTOCOLS:
            version, status, reason = self._read_status()  # type: ignore[attr-defined]  # missing in typeshed
            lines = _read_header_lines(self.fp)
        if not version.startswith("HTTP/1.") and version != "HTTP/0.9":
            raise http.client.UnknownProtocol(version)
        reading.code = reading.status = status
        reading.reason = reason.strip()
        reading.version = 10 if version in ("HTTP/1.0", "HTTP/0.9") else 11
        headers = reading.headers = reading.msg = _parse_headers(lines)
        reading.chunked = next(iter(headers.getlist("transfer-encoding")), "").lower() == "chunked"
        reading.chunk_left = None
        reading.length = None if reading.chunked else _parse_length(headers.getlist("content-length"))
        if status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED) or status < HTTPStatus.OK:
            reading.length = 0
        has_unknown_end = not reading.chunked and reading.length is None
        has_other_protocol = status == HTTPStatus.SWITCHING_PROTOCOLS
        reading.will_close = has_unknown_end or has_other_protocol or self._check_close()  # type: ignore[attr-defined]  # missing in typeshed

    def _safe_read(self, amt: int) -> Any:
        if amt < 0:
            raise http.client.HTTPException("a chunk of negative size")
        return super()._safe_read(amt)  # type: ignore[misc]  # missing in typeshed


def _read_header_lines(stream: Any) -> list[bytes]:
    """Return the lines up to the empty one, which is the last."""
    lines: list[bytes] = []
    while not lines or lines[-1] not in (b"\r\n", b"\n", b""):
        if len(lines) > _MAX_HEADERS:
            raise http.client.HTTPException(f"got more than {_MAX_HEADERS} headers")
        line = stream.readline(_MAX_LINE + 1)
        if len(line) > _MAX_LINE:
            raise http.client.LineTooLong("header line")
        lines.append(line)
    return lines


def _parse_headers(lines: list[bytes]) -> HTTPHeaderDict:
    headers = HTTPHeaderDict()
    for line in lines[:-1]:
        header = _PLAIN_HEADER.fullmatch(line)
        if header is None:
            text = b"".join(lines).decode("iso-8859-1")
            parsed = email.parser.Parser(_class=http.client.HTTPMessage).parsestr(text)
            return HTTPHeaderDict((name, _FOLD.sub(" ", value)) for name, value in parsed.items())
        name, value = header.groups()
        headers.add(name.decode("ascii"), value.decode("iso-8859-1"))
    return headers


def _parse_length(lengths: list[str]) -> int | None:
    """Return the length that these values agree on; urllib3 refuses an answer whose lengths differ."""
    values = {each.strip() for length in lengths for each in length.split(",")}
    text = values.pop() if len(values) == 1 else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None
