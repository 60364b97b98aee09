"""A connection of urllib3 that writes a request as one block, and reads an answer with little work.

urllib3 and http.client convert, check and write each header by itself, and parse the headers of an answer as those of
an e-mail. Together that takes a third of the time of a call. Another third goes into reading a short answer as a stream
through several layers, which `read_plain_answer` avoids.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import ResponseNotReady
from typing import Any, Final
from urllib.parse import urlsplit

from requests.exceptions import InvalidHeader, InvalidURL
from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection

from adapters.http.bounded_responses import BoundedResponse

# Bytes of a body that is copied in order to be written together with the head.
_MAX_JOINED: Final = 64 * 1024
# What a request line may have as its target.
_TARGET: Final = re.compile(r"[!-~]+")
_METHOD: Final = re.compile(r"[A-Z]+")
# Complete header lines. The quantifiers are possessive: with backtracking, a long value would take quadratic time.
_FIELDS: Final = re.compile(r"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++: [^\0\r\n]*+\r\n)*+")
# The methods whose requests say that they have no body.
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
# The head of a plain answer: a final status, and complete header lines.
_PLAIN_HEAD: Final = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2})(?: [^\0\r\n]*+)?+\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[ \t]*+[\t\x20-\x7e\x80-\xff]*+\r\n){0,100}+)\r\n"
)
_LENGTH: Final = re.compile(r"[0-9]{1,9}")
# Statuses whose answers have no body, whatever their headers say.
_WITHOUT_BODY: Final = frozenset({204, 304})
# Bytes of a plain answer, and of one read.
_MAX_PLAIN: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class PlainAnswer:
    """A whole answer; `headers` are by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Continued(io.RawIOBase):
    """A stream of bytes that have been received already, and then of those that `stream` reads."""

    def __init__(self, received: bytes, stream: io.RawIOBase) -> None:
        self._received = memoryview(received)
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self._received:
            return self._stream.readinto(buffer)
        part = self._received[: len(buffer)]
        buffer[: len(part)] = part
        self._received = self._received[len(part) :]
        return len(part)

    def close(self) -> None:
        self._stream.close()
        super().close()


class LeanConnection(HTTPConnection):
    """A connection to a back-end or a proxy. It sends bodies of type `bytes` or `str` only, and no chunks."""

    response_class = BoundedResponse
    # Of the request that was sent last: the method, the target, and how HTTPResponse reads its answer.
    _sent: tuple[str, str, Mapping[str, Any]] = ("", "", {})
    # The last answer, unless it has the connection for itself.
    _answer: BoundedResponse | None = None
    # What `read_plain_answer` has read of an answer that is not plain.
    _received = b""

    def close(self) -> None:
        """Close the connection, and an answer that was not read to its end; see http.client."""
        answer, self._answer = self._answer, None
        self._received = b""
        try:
            super().close()
        finally:
            if answer is not None:
                answer.close()

    def request(  # type: ignore[override]  # urllib3 takes files and iterators as bodies, too
        self,
        method: str,
        url: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        chunked: bool = False,
        **options: Any,
    ) -> None:
        """Send a request; see urllib3.

        Raises InvalidHeader or InvalidURL for values that would break its head, ValueError for `chunked`, and
        ResponseNotReady while the last answer is not read to its end: the rest would be taken for the answer to this
        request.
        """
        if chunked:
            raise ValueError("a body without a known length cannot be sent")
        if self._answer is not None and not self._answer.isclosed():
            raise ResponseNotReady
        self._set_timeout()
        self._sent = (method, url, options)
        raw = body.encode() if isinstance(body, str) else body
        head = self._encode_head(method, url, raw, headers or {})
        if raw is None or len(raw) <= _MAX_JOINED:
            self.send(head + (raw or b""))
        else:
            self.send(head)
            self.send(raw)

    def read_plain_answer(self) -> PlainAnswer | None:
        """Read an answer at once if it is plain; otherwise return None, and `getresponse` returns the answer.

        An answer is plain if it is of HTTP/1.1 and final, its head arrives in one piece, and it has a length of at most
        64 KiB, no encoding, and nothing to say about the connection. Raises TimeoutError and other OSErrors.
        """
        method, _, _ = self._sent
        received = self.sock.recv(_MAX_PLAIN)
        head = None if method == "HEAD" else _PLAIN_HEAD.match(received)
        headers = None if head is None else _read_plain_headers(head[2].decode("latin-1"))
        if head is None or headers is None or int(head[1]) in _WITHOUT_BODY:
            self._received = received
            return None
        size = head.end() + int(headers["content-length"])
        if len(received) < size <= _MAX_PLAIN:
            received = self._read_rest(received, size)
        if len(received) < size:
            self._received = received
            return None
        if len(received) > size:  # no request that was sent belongs to the bytes that follow
            self.close()
        return PlainAnswer(int(head[1]), headers, received[head.end() : size])

    def _read_rest(self, received: bytes, size: int) -> bytes:
        """Read at least `size` bytes in all; less if the server ends the connection.

        It may read more: a TLS connection would keep the rest of a record, where nobody sees it before the next answer.
        """
        whole = bytearray(received)
        while len(whole) < size:
            part = self.sock.recv(_MAX_PLAIN)
            if not part:
                break
            whole += part
        return bytes(whole)

    @property
    def is_connected(self) -> bool:
        """See urllib3. A connection that has something to read counts as ended; TLS may have it in its own memory."""
        pending = getattr(self.sock, "pending", None)
        return super().is_connected and (pending is None or not pending())

    def getresponse(self, **more: Any) -> HTTPResponse:  # type: ignore[override]  # urllib3 overrides http.client's, too
        """Read the head of the answer; see urllib3. `more` are further arguments of its HTTPResponse."""
        method, url, options = self._sent
        self._set_timeout()
        answer: Any = self.response_class(self.sock, method=method)
        if self._received:
            answer.fp = io.BufferedReader(_Continued(self._received, answer.fp.detach()))
            self._received = b""
        shut_down = getattr(self.sock, "shutdown", None)  # TLS inside of TLS has none
        try:
            answer.begin()
        except ConnectionError:
            answer.close()
            self.close()
            raise
        except BaseException:
            answer.close()
            raise
        if answer.will_close:
            self.close()  # the answer still has its own reference to the socket
        else:
            self._answer = answer
        return HTTPResponse(
            body=answer,
            headers=answer.headers,
            status=answer.status,
            version=answer.version,
            version_string="HTTP/1.1",
            reason=answer.reason,
            original_response=answer,
            request_method=method,
            request_url=url,
            sock_shutdown=shut_down,
            **options,
            **more,
        )

    def _set_timeout(self) -> None:
        """Let the socket wait as long as the connection; a socket is told only what is new, by a system call."""
        if self.sock is not None and self.sock.gettimeout() != self.timeout:
            self.sock.settimeout(self.timeout)

    def _encode_head(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        if _METHOD.fullmatch(method) is None or _TARGET.fullmatch(url) is None:
            raise InvalidURL(f"{url!r} cannot be requested")
        names = {name.lower() for name in headers}
        if len(names) < len(headers):
            raise InvalidHeader("A header is given twice")
        fields = [] if "host" in names else [f"Host: {self._host_of(url)}\r\n"]
        if "content-length" not in names and (body is not None or method in _WITH_BODY):
            fields.append(f"Content-Length: {len(body or b'')}\r\n")
        if "accept-encoding" not in names:
            fields.append("Accept-Encoding: identity\r\n")
        for name, value in headers.items():
            if not isinstance(value, str):
                raise InvalidHeader(f"The value of {name} is no text")
            fields.append(f"{name}: {value}\r\n")
        block = "".join(fields)
        if block.count("\n") != len(fields) or _FIELDS.fullmatch(block) is None:
            raise InvalidHeader("A header is malformed")
        return f"{method} {url} HTTP/1.1\r\n{block}\r\n".encode("latin-1")

    def _host_of(self, url: str) -> str:
        """Return the value of `Host`. A proxy gets the whole URL; a tunnel ends at another host than the proxy's."""
        if not url.startswith("/"):
            return urlsplit(url).netloc
        host, port = (self._tunnel_host, self._tunnel_port) if self._tunnel_host else (self.host, self.port)
        name = f"[{host.partition('%')[0]}]" if ":" in host else host
        return name if port == self.default_port else f"{name}:{port}"


def _read_plain_headers(lines: str) -> dict[str, str] | None:
    """Return the headers by their names in lower case; None if the answer is not plain because of them."""
    headers: dict[str, str] = {}
    for line in lines.split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        name = name.lower()
        if name in headers:
            return None
        headers[name] = value.strip(" \t")
    if "transfer-encoding" in headers or headers.get("content-encoding", "identity") != "identity":
        return None
    if _LENGTH.fullmatch(headers.get("content-length", "")) is None:
        return None
    return headers if headers.get("connection", "keep-alive").lower() == "keep-alive" else None
