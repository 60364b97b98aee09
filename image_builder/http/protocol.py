"""The HTTP server's protocol, for what it refuses itself: even what is no HTTP gets the contract's error body."""

from __future__ import annotations

import os
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from image_builder.http.errors import Problem

_NOT_HTTP: Final = Problem(400, "The request is not valid HTTP")


class ContractProtocol(HttpToolsProtocol):
    """uvicorn's protocol with our words."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words
        """Refuse what could not be parsed, and close."""
        body = _NOT_HTTP.body
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\n"
            b"content-type: application/json\r\n"
            b"content-length: %d\r\n"
            b"x-rh-insights-request-id: %s\r\n"
            b"connection: close\r\n\r\n%s" % (len(body), os.urandom(16).hex().encode(), body)
        )
        self.transport.close()
