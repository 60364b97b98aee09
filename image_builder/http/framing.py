"""Where one HTTP/1.1 request ends: heads and chunked bodies, read strictly (RFC 9112).

Code of our own, because the parser libraries decide differently where a request ends: they let an `Upgrade` header end
it before its body, merge trailers into the headers, and go on to parse whatever follows. Here a request whose end could
be doubted is refused, `Upgrade` is ignored (RFC 9110, section 7.8), and trailers and chunk extensions are dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from image_builder.http.header_limits import MOST_FIELDS

# The registered methods of requests that have an end: all but CONNECT.
_METHODS: Final = frozenset(
    b"GET HEAD POST PUT DELETE PATCH OPTIONS TRACE ACL BIND CHECKOUT COPY LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL "
    b"MOVE PROPFIND PROPPATCH QUERY REBIND REPORT SEARCH UNBIND UNLINK UNLOCK".split()
)
_REQUEST_LINE: Final = re.compile(rb"([A-Z]+) ([!-~]+) HTTP/1\.([01])")
_REQUEST_LINE_BEGUN: Final = re.compile(rb"[A-Z]+(?: [!-~]*(?: [HTP/1.0]*\r?)?)?")
# Without scheme and host, where a client writes whole addresses.
_REQUEST_LINE_FAULTY: Final = re.compile(rb"([A-Z]+) (?:[a-zA-Z]+://[^/]*)?([!-~]+)")
# Optional white space around a value is none of it (RFC 9110, section 5.5). Nothing is matched twice: a value of blanks
# would take quadratic time.
_FIELD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++):[\t ]*+([^\0-\x08\n-\x1f\x7f]*+)")
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[!$%&'()*+,\-.0-9;=A-Z_a-z~]*)(?::[0-9]*)?")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[\t ]*+;[^\0-\x08\n-\x1f\x7f]*+)?\r\n")
_LONGEST_LINE: Final = 16 * 1024
# Bytes that sizes, extensions and trailers of a chunked body may take, and one more for each 32 bytes of data: a chunk
# of one byte costs as much time as one of a kilobyte. Chunks of 128 bytes or more always pass.
_CHUNK_OVERHEAD: Final = 32 * 1024
_DATA_PER_OVERHEAD: Final = 32

END_OF_HEAD: Final = b"\r\n\r\n"


class TooManyFieldsError(Exception):
    """The head has too many header fields."""


class FramingError(Exception):
    """The bytes are no request of HTTP/1.1, or it is ambiguous where the request ends."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request's head; names of `headers` are in lower case, values without white space around them.

    `length` is the number of bytes of the body, None where it comes in chunks.
    """

    method: bytes
    target: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    length: int | None
    keep_alive: bool
    expects_continue: bool


def parse_head(raw: bytes) -> Head:
    """The head of a request: everything before the blank line. Raises FramingError and TooManyFieldsError."""
    if raw.count(b"\n") > MOST_FIELDS:
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
        # After an ignored Upgrade the client may go on in another protocol.
        keep_alive=version == "1.1" and not upgrade and b"close" not in options,
        expects_continue=version == "1.1"
        and any(value.lower() == b"100-continue" for value in _values(headers, b"expect")),
    )


def may_become_head(raw: bytes) -> bool:
    """Whether these bytes, in which no blank line stands, may be the beginning of a head."""
    line, whole, _ = raw.partition(b"\r\n")
    begun = _REQUEST_LINE if whole else _REQUEST_LINE_BEGUN
    return begun.fullmatch(line) is not None and raw.count(b"\n") == raw.count(b"\r\n")


def request_line(raw: bytes) -> tuple[str, str] | None:
    """Method and path at the beginning of bytes that are no valid head, as far as they can be told."""
    found = _REQUEST_LINE_FAULTY.match(raw)
    return None if found is None else (found[1].decode(), found[2].decode())


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for each, value in headers if each == name]


def _check_host(headers: list[tuple[bytes, bytes]], version: str) -> None:
    """Exactly one valid Host (RFC 9112, section 3.2); HTTP/1.0 needs none."""
    hosts = _values(headers, b"host")
    if len(hosts) > 1 or (not hosts and version == "1.1") or not all(map(_HOST.fullmatch, hosts)):
        raise FramingError


def _body_length(headers: list[tuple[bytes, bytes]], version: str) -> int | None:
    """The bytes of the body, None for chunks (RFC 9112, section 6.3); whatever is said twice is refused."""
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
    """Reads a body of so many bytes; `done` once it is whole. `announced` is how many bytes are known to come."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.announced: Final = length
        self.done = length == 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The body's part of `data`, and what stands behind the body."""
        body, behind = data[: self._left], data[self._left :]
        self._left -= len(body)
        self.done = self._left == 0
        return body, behind


class ChunkedDecoder:
    """Reads a body in chunks (RFC 9112, section 7.1); `done` once it is whole, trailers included.

    `announced` is how many bytes are known to come: those that came, and the rest of the present chunk.
    """

    def __init__(self) -> None:
        self._line_begun = b""
        # Bytes that are missing of the present chunk's data, and of the line break behind it.
        self._data_left = 0
        self._break_left = b""
        self._overhead = 0
        self._data = 0
        self._in_trailer = False
        self.done = False

    @property
    def announced(self) -> int:
        return self._data + self._data_left

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The body's bytes in `data`, and what stands behind the body. Raises FramingError."""
        data = self._line_begun + data if self._line_begun else data
        self._line_begun = b""
        parts: list[bytes] = []
        at = 0
        while at < len(data) and not self.done:
            if self._data_left:
                part = data[at : at + self._data_left]
                parts.append(part)
                at += len(part)
                self._data += len(part)
                self._data_left -= len(part)
            elif self._break_left:
                part = data[at : at + len(self._break_left)]
                if not self._break_left.startswith(part):
                    raise FramingError
                at += len(part)
                self._break_left = self._break_left[len(part) :]
            elif self._in_trailer or (chunk := _CHUNK_LINE.match(data, at)) is None:
                at = self._read_other_line(data, at)
            else:
                self._count_overhead(chunk.end() - at)
                size, at = int(chunk[1], 16), chunk.end()
                if size and data.startswith(b"\r\n", at + size):  # the chunk is whole, as small ones mostly are
                    parts.append(data[at : at + size])
                    self._data += size
                    at += size + 2
                else:
                    self._data_left = size
                    self._in_trailer = size == 0
                    self._break_left = b"" if self._in_trailer else b"\r\n"
        return b"".join(parts), data[at:]

    def _read_other_line(self, data: bytes, at: int) -> int:
        """Read a line that begins no chunk, and return where it ends; or keep what there is of a line."""
        end = data.find(b"\r\n", at)
        if end < 0:
            self._keep(data[at:])
            return len(data)
        line = data[at:end]
        if not self._in_trailer or (line and _FIELD.fullmatch(line) is None):
            raise FramingError
        self._count_overhead(len(line) + 2)
        self.done = not line
        return end + 2

    def _count_overhead(self, size: int) -> None:
        self._overhead += size
        if self._overhead > _CHUNK_OVERHEAD + self._data // _DATA_PER_OVERHEAD:
            raise FramingError

    def _keep(self, begun: bytes) -> None:
        if len(begun) > _LONGEST_LINE or b"\n" in begun:
            raise FramingError
        self._line_begun = begun


def body_decoder(head: Head) -> LengthDecoder | ChunkedDecoder:
    """What reads the body of a request with this head."""
    return ChunkedDecoder() if head.length is None else LengthDecoder(head.length)
