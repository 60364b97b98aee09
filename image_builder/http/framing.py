"""Parses heads and bodies of HTTP/1.1 requests strictly (RFC 9112), to find the end of each request.

No library does this: parser libraries let an `Upgrade` header end a request before its body, merge trailers into the
headers, and go on to parse the bytes after the request. This module refuses a request whose end is ambiguous, ignores
`Upgrade` (RFC 9110, section 7.8), and drops trailers and chunk extensions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from image_builder.http.head_limits import MAX_HEADER_FIELDS

# The registered methods except CONNECT, whose request has no end.
_METHODS: Final = frozenset(
    b"GET HEAD POST PUT DELETE PATCH OPTIONS TRACE ACL BIND CHECKOUT COPY LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL "
    b"MOVE PROPFIND PROPPATCH QUERY REBIND REPORT SEARCH UNBIND UNLINK UNLOCK".split()
)
_REQUEST_LINE: Final = re.compile(rb"([A-Z]+) ([!-~]+) HTTP/1\.([01])")
# An incomplete request line.
_PARTIAL_REQUEST_LINE: Final = re.compile(rb"[A-Z]+(?: [!-~]*(?: [HTP/1.0]*\r?)?)?")
# The method and the path of a request line that may be invalid; scheme and host of an absolute URL are left out.
_FAULTY_REQUEST_LINE: Final = re.compile(rb"([A-Z]+) (?:[a-zA-Z]+://[^/]*)?([!-~]+)")
# A header or trailer. White space around a value is not part of it (RFC 9110, section 5.5). The quantifiers are
# possessive: with backtracking, a value of blanks would take quadratic time.
_FIELD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++):[\t ]*+([^\0-\x08\n-\x1f\x7f]*+)")
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[!$%&'()*+,\-.0-9;=A-Z_a-z~]*)(?::[0-9]*)?")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[\t ]*+;[^\0-\x08\n-\x1f\x7f]*+)?\r\n")
# Bytes of an incomplete line of a chunked body.
_MAX_LINE_BYTES: Final = 16 * 1024
# Bytes that chunk sizes, chunk extensions and trailers of a body may take, besides _DATA_PER_OVERHEAD. They are limited
# because a chunk of one byte takes as much time as a chunk of a kilobyte.
_CHUNK_OVERHEAD: Final = 32 * 1024
# Bytes of data that allow one more such byte. Chunks of 128 bytes or more never exceed the limit.
_DATA_PER_OVERHEAD: Final = 32

END_OF_HEAD: Final = b"\r\n\r\n"


class TooManyFieldsError(Exception):
    """The head has too many header fields."""


class FramingError(Exception):
    """The bytes are not a valid HTTP/1.1 request, or the end of the request is ambiguous."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request.

    `headers` has names in lower case, and values without surrounding white space. `length` is the number of bytes of
    the body, None for a chunked body.
    """

    method: bytes
    target: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    length: int | None
    keep_alive: bool
    expects_continue: bool


def parse_head(raw: bytes) -> Head:
    """Parse the bytes of a request before the blank line. Raises FramingError and TooManyFieldsError."""
    if raw.count(b"\n") > MAX_HEADER_FIELDS:
        raise TooManyFieldsError
    line, *fields = raw.split(b"\r\n")
    request = _REQUEST_LINE.fullmatch(line)
    if request is None or request[1] not in _METHODS:
        raise FramingError
    version = f"1.{request[3].decode()}"
    headers: list[tuple[bytes, bytes]] = []
    upgrade = False
    for field in fields:
        match = _FIELD.fullmatch(field)
        if match is None:
            raise FramingError
        name = match[1].lower()
        if name in {b"upgrade", b"http2-settings"}:
            upgrade = True
        else:
            headers.append((name, match[2].rstrip(b"\t ")))
    _check_host(headers, version)
    options = {
        option.strip(b"\t ").lower() for value in _values(headers, b"connection") for option in value.split(b",")
    }
    return Head(
        method=request[1],
        target=request[2],
        version=version,
        headers=headers,
        length=_body_length(headers, version),
        # After an ignored Upgrade the client may continue in another protocol.
        keep_alive=version == "1.1" and not upgrade and b"close" not in options,
        expects_continue=version == "1.1"
        and any(value.lower() == b"100-continue" for value in _values(headers, b"expect")),
    )


def may_become_head(raw: bytes) -> bool:
    """Whether these bytes, which contain no blank line, may be the beginning of a valid head."""
    line, line_break, _ = raw.partition(b"\r\n")
    pattern = _REQUEST_LINE if line_break else _PARTIAL_REQUEST_LINE
    return pattern.fullmatch(line) is not None and raw.count(b"\n") == raw.count(b"\r\n")


def parse_faulty_request_line(raw: bytes) -> tuple[str, str] | None:
    """Return the method and the path at the beginning of an invalid head, or None if it does not show them."""
    found = _FAULTY_REQUEST_LINE.match(raw)
    return None if found is None else (found[1].decode(), found[2].decode())


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for each, value in headers if each == name]


def _check_host(headers: list[tuple[bytes, bytes]], version: str) -> None:
    """Require exactly one valid Host (RFC 9112, section 3.2); HTTP/1.0 may omit it."""
    hosts = _values(headers, b"host")
    if len(hosts) > 1 or (not hosts and version == "1.1") or not all(map(_HOST.fullmatch, hosts)):
        raise FramingError


def _body_length(headers: list[tuple[bytes, bytes]], version: str) -> int | None:
    """Return the number of bytes of the body, None for chunks (RFC 9112, section 6.3).

    Raises FramingError for several lengths or codings, and for other codings than `chunked`.
    """
    lengths = _values(headers, b"content-length")
    codings = _values(headers, b"transfer-encoding")
    if codings:
        if lengths or version == "1.0" or [coding.lower() for coding in codings] != [b"chunked"]:
            raise FramingError
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise FramingError
    return int(lengths[0])


class LengthDecoder:
    """Reads a body of `length` bytes; `done` is True when it is complete.

    `known_size` is the size of the body in bytes.
    """

    def __init__(self, length: int) -> None:
        self._missing = length
        self.known_size: Final = length
        self.done = length == 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Split `data` into bytes of the body and bytes after it."""
        body, rest = data[: self._missing], data[self._missing :]
        self._missing -= len(body)
        self.done = self._missing == 0
        return body, rest


class ChunkedDecoder:
    """Reads a chunked body (RFC 9112, section 7.1); `done` is True when it and its trailers are complete.

    `known_size` is the size of the body in bytes as far as it is known: up to the end of the current chunk.
    """

    def __init__(self) -> None:
        self._partial_line = b""
        # The number of bytes that are missing of the current chunk's data.
        self._missing_data = 0
        # The bytes that are missing of the line break after these data.
        self._missing_break = b""
        self._overhead = 0
        self._data_size = 0
        self._in_trailer = False
        self.done = False

    @property
    def known_size(self) -> int:
        """See the class."""
        return self._data_size + self._missing_data

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Split `data` into bytes of the body and bytes after it. Raises FramingError."""
        data = self._partial_line + data if self._partial_line else data
        self._partial_line = b""
        parts: list[bytes] = []
        position = 0
        while position < len(data) and not self.done:
            if self._missing_data:
                part = data[position : position + self._missing_data]
                parts.append(part)
                position += len(part)
                self._data_size += len(part)
                self._missing_data -= len(part)
            elif self._missing_break:
                part = data[position : position + len(self._missing_break)]
                if not self._missing_break.startswith(part):
                    raise FramingError
                position += len(part)
                self._missing_break = self._missing_break[len(part) :]
            elif self._in_trailer or (chunk := _CHUNK_LINE.match(data, position)) is None:
                position = self._read_other_line(data, position)
            else:
                self._count_overhead(chunk.end() - position)
                size, position = int(chunk[1], 16), chunk.end()
                if size and data.startswith(b"\r\n", position + size):  # complete, as most small chunks are
                    parts.append(data[position : position + size])
                    self._data_size += size
                    position += size + 2
                else:
                    self._missing_data = size
                    self._in_trailer = size == 0
                    self._missing_break = b"" if self._in_trailer else b"\r\n"
        return b"".join(parts), data[position:]

    def _read_other_line(self, data: bytes, position: int) -> int:
        """Read a line of the trailers, or keep an incomplete line; returns the position after it."""
        end = data.find(b"\r\n", position)
        if end < 0:
            self._keep_partial_line(data[position:])
            return len(data)
        line = data[position:end]
        if not self._in_trailer or (line and _FIELD.fullmatch(line) is None):
            raise FramingError
        self._count_overhead(len(line) + 2)
        self.done = not line
        return end + 2

    def _count_overhead(self, size: int) -> None:
        self._overhead += size
        if self._overhead > _CHUNK_OVERHEAD + self._data_size // _DATA_PER_OVERHEAD:
            raise FramingError

    def _keep_partial_line(self, line: bytes) -> None:
        if len(line) > _MAX_LINE_BYTES or b"\n" in line:
            raise FramingError
        self._partial_line = line


def create_body_decoder(head: Head) -> LengthDecoder | ChunkedDecoder:
    """Create the decoder for the body of a request with this head."""
    return ChunkedDecoder() if head.length is None else LengthDecoder(head.length)
