"""Bodies of POST /compose with exact bytes."""

from __future__ import annotations

import json
from typing import Any

from tests.support import raw_http
from tests.support.builders import compose_request, identity
from tests.support.raw_http import Answer
from tests.support.service import BASE, Service

JSON = {"Content-Type": "application/json"}


def post(service: Service, body: bytes | None, headers: dict[str, str] | None = None, org_id: str = "bodies") -> Answer:
    """POST /compose with these bytes."""
    sent = {"x-rh-identity": identity(org_id), **(JSON if headers is None else headers)}
    return raw_http.call(service.url, "POST", f"{BASE}/compose", sent, body)


def post_chunked(service: Service, *parts: bytes) -> Answer | None:
    """POST /compose with these chunks and without a length."""
    headers = {"x-rh-identity": identity("bodies"), **JSON, "Transfer-Encoding": "chunked"}
    head = raw_http.head("POST", f"{BASE}/compose", headers)
    return raw_http.send(service.url, head, *raw_http.chunked(parts), method="POST")


def encoded(**fields: Any) -> bytes:
    """A ComposeRequest with these fields as bytes; lone surrogates are escaped."""
    return json.dumps(compose_request(**fields)).encode()


def short(text: str) -> str:
    """A short test id for a value."""
    return text if len(text) < 20 else f"{text[:8]}... {len(text)} characters"
