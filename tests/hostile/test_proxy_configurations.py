"""The configurations of deploy/proxy, in real nginx and HAProxy: the requests and headers that they pass on."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from tests.support import proxies, raw_http
from tests.support.bodies import encoded
from tests.support.builders import compose_request, identity
from tests.support.loopback import Asked, Loopback
from tests.support.proxies import Proxy
from tests.support.refusals import refusal
from tests.support.service import BASE, Client, Service

# The service's limit, MAX_BODY_BYTES, and the one in both configurations.
LARGEST = 4 * 1024 * 1024
REQUEST_ID = "x-rh-insights-request-id"
JSON = {"Content-Type": "application/json"}
PROXIES: dict[str, Proxy] = {"nginx": proxies.nginx, "HAProxy": proxies.haproxy}

pytestmark = pytest.mark.usefixtures("composer")


@pytest.fixture(scope="module", params=PROXIES)
def proxy(request: pytest.FixtureRequest) -> Proxy:
    """Each proxy in turn."""
    return PROXIES[request.param]


@pytest.fixture(scope="module")
def url(proxy: Proxy, service: Service) -> Iterator[str]:
    """The URL of the proxy in front of the service; the proxy treats all clients as the gateway."""
    with proxy(service.port, trusting=True) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def client(url: str, request: pytest.FixtureRequest) -> Client:
    """A client of the proxy, of an organization for each test."""
    return Client(url, headers_of(request.node.name))


def headers_of(tenant: str) -> dict[str, str]:
    """The identity of a user of this organization."""
    return {"x-rh-identity": identity(tenant)}


def asked_through(proxy: Proxy, requests: list[bytes], *, trusting: bool = False) -> tuple[list[Asked], int]:
    """The requests that a server behind the proxy receives from one client, and the number of connections."""
    with Loopback() as server, proxy(int(server.url.rpartition(":")[2]), trusting=trusting) as port:
        with raw_http.connection(f"http://127.0.0.1:{port}") as opened:
            for request in requests:
                opened.sendall(request)
                answer = raw_http.read(opened)
                assert answer is not None
                assert answer.status_code == 200
        checks = sum(each.path == "/ready" for each in server.asked)
        return [each for each in server.asked if each.path != "/ready"], server.connections - checks


def test_ordinary_requests_get_the_same_answers_as_without_a_proxy(client: Client) -> None:
    build = client.post("/compose", compose_request())
    assert build.status_code == 201
    listed = client.get("/composes").json()
    assert [each["id"] for each in listed["data"]] == [build.json()["id"]]
    refusal(client.get("/composes/7709b691-15a9-4dae-ae96-d6584b9f389f"), 404)


@pytest.mark.parametrize("base", ["/api/image-builder/v1", "/api/image-builder/v1.0", "/api/v1/image-builder"])
def test_all_base_paths_are_passed_on(client: Client, base: str) -> None:
    assert client.get("/version", base=base).status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/metrics",
        "/status",
        "/ready",
        "/docs/",
        "/openapi.json",
        "//metrics",
        "/api/image-builder/v1",
        "/api/image-builder/v1x/version",
        "/api/image-builder/v2/version",
        "/API/image-builder/v1/version",
        f"{BASE}/../../../metrics",
        f"{BASE}/../../../status",
        f"{BASE}/%2e%2e/%2e%2e/%2e%2e/metrics",
        f"{BASE}/%2E./.%2e/../metrics",
        f"{BASE}/..%2f..%2f..%2fmetrics",
        f"{BASE}/./../../../../metrics",
    ],
)
def test_only_the_base_paths_are_passed_on(url: str, target: str) -> None:
    answer = raw_http.call(url, "GET", target, headers_of("paths"))
    assert answer.status_code in {400, 404}
    assert b"errors" in answer.content


def test_a_large_body_is_passed_on(client: Client) -> None:
    padded = encoded() + b" " * 1_000_000
    assert client.request("POST", "/compose", data=padded, headers=JSON).status_code == 201


def test_a_body_that_is_too_large_is_refused(url: str) -> None:
    # The proxy may close before it has read all of it.
    headers = {**headers_of("too large"), **JSON, "Content-Length": str(LARGEST + 1)}
    answer = raw_http.send(url, raw_http.head("POST", f"{BASE}/compose", headers), b" " * (LARGEST + 1), method="POST")
    assert answer is not None
    assert answer.status_code == 413
    assert json.loads(answer.content)["errors"][0]["title"] == "413"


def test_a_chunked_body_that_is_too_large_is_refused(url: str) -> None:
    head = raw_http.head("POST", f"{BASE}/compose", {**headers_of("chunked"), **JSON, "Transfer-Encoding": "chunked"})
    answer = raw_http.send(url, head, *raw_http.chunked([b" " * 65536] * 65), method="POST")
    assert answer is not None
    assert answer.status_code == 413


def test_an_identity_of_the_largest_size_is_passed_on(url: str) -> None:
    long = identity("long", user={"username": "u" * 11_500, "email": "u@example.com"})
    assert 15_000 < len(long) < 16_384
    assert raw_http.call(url, "GET", f"{BASE}/version", {"x-rh-identity": long}).status_code == 200


def test_headers_that_are_too_large_are_refused(url: str) -> None:
    answer = raw_http.call(url, "GET", f"{BASE}/version", {**headers_of("large"), "x-large": "a" * 70_000})
    assert answer.status_code in {400, 431}


def test_a_clients_connection_is_reused(url: str) -> None:
    request = raw_http.head("GET", f"{BASE}/version", headers_of("reuse"))
    with raw_http.connection(url) as opened:
        for _ in range(5):
            opened.sendall(request)
            answer = raw_http.read(opened)
            assert answer is not None
            assert answer.status_code == 200
        build = encoded()
        headers = {**headers_of("reuse"), **JSON, "Content-Length": str(len(build))}
        opened.sendall(raw_http.head("POST", f"{BASE}/compose", headers) + build)
        answer = raw_http.read(opened, "POST")
        assert answer is not None
        assert answer.status_code == 201


def test_connections_to_the_service_are_reused(proxy: Proxy) -> None:
    asked, connections = asked_through(proxy, [raw_http.head("GET", f"{BASE}/version")] * 20)
    assert len(asked) == 20
    assert connections < 10


def test_upgrades_are_not_passed_on(proxy: Proxy) -> None:
    upgrades = [
        {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
        {"Connection": "keep-alive, Upgrade", "Upgrade": "anything"},
        {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAoAAAAAIAAAAA"},
    ]
    asked, _ = asked_through(proxy, [raw_http.head("GET", f"{BASE}/version", each) for each in upgrades])
    assert len(asked) == 3
    for each in asked:
        assert not {"upgrade", "http2-settings"} & set(each.headers)
        assert "upgrade" not in each.headers.get("connection", "").lower()


@pytest.mark.parametrize("name", ["x-rh-identity", "X-RH-IDENTITY", "x-fedora-identity"])
def test_an_identity_is_dropped_unless_the_gateway_sends_it(proxy: Proxy, name: str) -> None:
    sent = [raw_http.head("GET", f"{BASE}/version", {name: "e30="})]
    (dropped,), _ = asked_through(proxy, sent)
    assert not {"x-rh-identity", "x-fedora-identity"} & set(dropped.headers)
    (passed,), _ = asked_through(proxy, sent, trusting=True)
    assert passed.headers[name.lower()] == "e30="


def test_two_identities_are_refused(url: str) -> None:
    two = [("x-rh-identity", identity("one")), ("x-rh-identity", identity("two"))]
    assert raw_http.call(url, "GET", f"{BASE}/composes", two).status_code == 401


def test_without_a_gateway_callers_get_401(proxy: Proxy, service: Service) -> None:
    with proxy(service.port) as port:
        answer = Client(f"http://127.0.0.1:{port}", headers_of("anybody")).get("/composes")
    refusal(answer, 401)


def test_a_request_keeps_its_id_and_gets_one_if_it_has_none(proxy: Proxy) -> None:
    sent = [raw_http.head("GET", f"{BASE}/version", headers) for headers in ({REQUEST_ID: "mine"}, {}, {})]
    (first, second, third), _ = asked_through(proxy, sent)
    assert first.headers[REQUEST_ID] == "mine"
    assert len({"", second.headers[REQUEST_ID], third.headers[REQUEST_ID]}) == 3


def test_while_the_service_is_unavailable_the_proxy_answers_in_the_format_of_the_api(proxy: Proxy) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with proxy(nobody.getsockname()[1]) as port:
            answer = Client(f"http://127.0.0.1:{port}", headers_of("away")).get("/version")
    assert answer.status_code == 503
    assert answer.json()["errors"][0]["title"] == "503"


def test_bytes_that_are_not_http_are_refused(url: str) -> None:
    answer = raw_http.send(url, b"GET / a HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n")
    assert answer is not None
    assert answer.status_code == 400
