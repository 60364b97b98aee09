"""Headers that every answer has, and headers that no answer has (SECURITY.md)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import raw_http
from tests.support.service import BASE, Client, Service

# Method and path, and what else is sent; with an identity, unless it says otherwise.
REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "what somebody has": ("GET", f"{BASE}/composes", {}),
    "nothing more": ("DELETE", f"{BASE}/blueprints/4f0a7a3e-0000-4000-8000-000000000000", {}),
    "a body that is refused": (
        "POST",
        f"{BASE}/compose",
        {"data": b"{", "headers": {"Content-Type": "application/json"}},
    ),
    "nobody": ("GET", f"{BASE}/composes", {"headers": {"x-rh-identity": "nobody"}}),
    "no such path": ("GET", "/nowhere", {}),
    "a wrong method": ("PATCH", f"{BASE}/composes", {}),
    "liveness": ("GET", "/status", {}),
    "readiness": ("GET", "/ready", {}),
    "metrics": ("GET", "/metrics", {}),
    "the contract": ("GET", "/openapi.json", {}),
    "the page": ("GET", "/docs/", {}),
    "a script of the page": ("GET", "/docs/start.js", {}),
}


@pytest.fixture(params=REQUESTS)
def headers(request: pytest.FixtureRequest, client: Client) -> list[tuple[str, str]]:
    """The headers of an answer."""
    method, path, more = REQUESTS[request.param]
    return [(name.lower(), value) for name, value in client.request(method, path, base="", **more).raw.headers.items()]


def test_answers_forbid_content_type_sniffing(headers: list[tuple[str, str]]) -> None:
    assert [value for name, value in headers if name == "x-content-type-options"] == ["nosniff"]


def test_answers_forbid_caching(headers: list[tuple[str, str]]) -> None:
    assert [value for name, value in headers if name == "cache-control"] == ["no-store"]


def test_every_answer_has_a_request_id(headers: list[tuple[str, str]]) -> None:
    assert len([value for name, value in headers if name == "x-rh-insights-request-id" and value]) == 1


def test_no_answer_names_the_server_software(headers: list[tuple[str, str]]) -> None:
    assert {name for name, _ in headers} & {"server", "x-powered-by", "via"} == set()


def test_answers_to_bytes_that_are_not_http_have_the_headers_too(service: Service) -> None:
    answer = raw_http.send(service.url, b"not HTTP at all\r\n\r\n")
    assert answer is not None
    found = [answer.headers[name] for name in ("x-content-type-options", "cache-control", "server")]
    assert (answer.status_code, found) == (400, ["nosniff", "no-store", None])
