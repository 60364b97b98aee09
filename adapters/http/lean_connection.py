"""A connection of urllib3 that writes a request as one block, and reads an answer with little work.

urllib3 and http.client convert, check and write each header by itself, and parse the headers of an answer as those of
an e-mail. Together that takes a third of the time of a call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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


class LeanConnection(HTTPConnection):
    """Sends bodies of type `bytes` or `str` only, and no chunks."""

    response_class = BoundedResponse
    # Of the request that was sent last: the method, the target, and how HTTPResponse reads its answer.
    _sent: tuple[str, str, Mapping[str, Any]] = ("", "", {})

    def request(  # type: ignore[override]  # fewer types of bodies
        self,
        method: str,
        url: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        chunked: bool = False,
        **options: Any,
    ) -> None:
        """Send a request; see urllib3. Raises InvalidHeader or InvalidURL for values that would break its head."""
        if chunked:
            raise NotImplementedError("only bodies of known length can be sent")
        if self.sock is not None:
            self.sock.settimeout(self.timeout)
        self._sent = (method, url, options)
        raw = body.encode() if isinstance(body, str) else body
        head = self._encode_head(method, url, raw, headers or {})
        if raw is None or len(raw) <= _MAX_JOINED:
            self.send(head + (raw or b""))
        else:
            self.send(head)
            self.send(raw)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3
        """Read the head of the answer; see urllib3."""
        method, url, options = self._sent
        self.sock.settimeout(self.timeout)
        answer: Any = BoundedResponse(self.sock, method=method)
        shut_down = self.sock.shutdown
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
        )

    def _encode_head(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        if _METHOD.fullmatch(method) is None or _TARGET.fullmatch(url) is None:
            raise InvalidURL(f"{url!r} cannot be requested")
        names = {name.lower() for name in headers}
        lines = [f"{method} {url} HTTP/1.1"]
        if "host" not in names:
            lines.append(f"Host: {self._host_of(url)}")
        if body is not None and "content-length" not in names:
            lines.append(f"Content-Length: {len(body)}")
        if "accept-encoding" not in names:
            lines.append("Accept-Encoding: identity")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(lines)
        if not head.count("\n") == head.count("\r") == len(lines) - 1:
            raise InvalidHeader("A header contains a line break")
        return f"{head}\r\n\r\n".encode("latin-1")

    def _host_of(self, url: str) -> str:
        """Return the value of `Host`. A proxy gets the whole URL; a tunnel ends at another host than the proxy's."""
        if not url.startswith("/"):
            return urlsplit(url).netloc
        host, port = (self._tunnel_host, self._tunnel_port) if self._tunnel_host else (self.host, self.port)
        name = f"[{host.partition('%')[0]}]" if ":" in host else host
        return name if port == self.default_port else f"{name}:{port}"
