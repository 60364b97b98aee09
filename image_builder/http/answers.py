"""The answers of handlers, and functions that create them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from image_builder.http.json_body import encode_json_body

_JSON: Final = "application/json"
# Bodies that an EncodedBodies keeps: enough for all distributions of a deployment, with a part of their profiles.
_MAX_BODIES: Final = 256
# Statuses whose answers have no Content-Length (RFC 9110, section 8.6).
_WITHOUT_LENGTH: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


@dataclass(slots=True)
class Answer:
    """An answer of a handler. A handler may add `headers`; Content-Length is not among them."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def encode_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers, with Content-Length, in the form of ASGI messages."""
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]
        if self.status not in _WITHOUT_LENGTH:
            encoded.append((b"content-length", b"%d" % len(self.body)))
        return encoded


class EncodedBodies:
    """JSON bodies of documents that stay the same while the process runs; each is encoded once. Thread-safe."""

    def __init__(self) -> None:
        self._bodies: dict[Hashable, bytes] = {}

    def get(self, key: Hashable, create_document: Callable[[], Any]) -> bytes:
        """Return the body for `key`. At the first call, `create_document` is called, and may raise its errors."""
        body = self._bodies.get(key)
        if body is None:
            body = encode_json_body(create_document())
            if len(self._bodies) >= _MAX_BODIES:
                self._bodies.clear()
            self._bodies[key] = body
        return body


def json_answer(body: Any, status: int = 200) -> Answer:
    """Create an answer with `body` as JSON."""
    return Answer(encode_json_body(body), status, {"Content-Type": _JSON})


def toml_answer(text: str) -> Answer:
    """Create an answer with a TOML document."""
    return Answer(text.encode(), 200, {"Content-Type": "application/toml"})


def text_answer(text: str) -> Answer:
    """An answer whose body is plain text."""
    return Answer(text.encode(), 200, {"Content-Type": "text/plain; charset=utf-8"})


def encoded_json_answer(encoded: bytes) -> Answer:
    """Create an answer from JSON that `encode_json_body` has encoded."""
    return Answer(encoded, 200, {"Content-Type": _JSON})


def empty_answer(status: int = 200) -> Answer:
    """Create an answer without a body and media type."""
    return Answer(b"", status)


def not_modified(etag: str) -> Answer:
    """Create the answer 304 for a client that knows the entity tag."""
    return Answer(b"", HTTPStatus.NOT_MODIFIED, {"ETag": etag})
