"""Invalid headers, above all identities, against the running service."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support import raw_http
from tests.support.builders import compose_request, encoded, identity
from tests.support.databases import Parameters
from tests.support.raw_http import Answer
from tests.support.refusals import REQUEST_ID, refusal
from tests.support.service import BASE, Service
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("composer")

Pairs = list[tuple[str | bytes, str | bytes]]
IDENTITY: Pairs = [("x-rh-identity", identity("headers"))]
USER = {"org_id": "headers", "type": "User"}


def ask(service: Service, headers: Pairs, path: str = "/composes") -> Answer:
    return raw_http.call(service.url, "GET", BASE + path, headers)


def raw(text: str | bytes) -> str:
    """An identity header for bytes that need not be JSON."""
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


# Identity


NOBODIES: dict[str, str | bytes] = {
    "empty": "",
    "a blank": " ",
    "not base64": "!!!!",
    "base64 of the URL kind": base64.urlsafe_b64encode(b'{"identity":{"org_id":"\xc3\xbf>?>?>?~~~"}}').decode(),
    "a blank in the middle": identity("headers")[:10] + " " + identity("headers")[10:],
    "bytes above ASCII": b"\xff\xfe\xfd\xfc",
    "UTF-8": "\u00e9\u00e8\u00e0\u00f9".encode(),
    "JSON itself": json.dumps({"identity": USER}),
    "not JSON": raw("hello"),
    "half of it": raw(json.dumps({"identity": USER})[:-1]),
    "a byte order mark": raw(b"\xef\xbb\xbf" + json.dumps({"identity": USER}).encode()),
    "not UTF-8": raw(b'{"identity":{"org_id":"\xff"}}'),
    "NaN": raw('{"identity":{"org_id":NaN}}'),
    "a list": encoded([]),
    "text": encoded("org"),
    "a number": encoded(1),
    "null": encoded(None),
    "nothing in it": encoded({}),
    "identity null": encoded({"identity": None}),
    "identity a list": encoded({"identity": []}),
    "identity text": encoded({"identity": "x"}),
    "identity empty": encoded({"identity": {}}),
    "org id a number": encoded({"identity": {"org_id": 1}}),
    "org id true": encoded({"identity": {"org_id": True}}),
    "org id a list": encoded({"identity": {"org_id": ["1"]}}),
    "org id an object": encoded({"identity": {"org_id": {"x": 1}}}),
    "org id null": encoded({"identity": {"org_id": None}}),
    "org id empty": encoded({"identity": {"org_id": ""}}),
    "org id with NUL": encoded({"identity": {"org_id": "a\0b"}}),
    "org id with a lone surrogate": encoded({"identity": {"org_id": "\ud800"}}),
    "org id of 9 kB": encoded({"identity": {"org_id": "0123456789abcdef" * 576}}),
    "org id of 1,002 bytes": encoded({"identity": {"org_id": "é" * 501}}),
    "org id blank": encoded({"identity": {"org_id": " \t\u00a0"}}),
    "org id with a line end": encoded({"identity": {"org_id": "a\nb"}}),
    "internal org id of 9 kB": encoded({"identity": {"internal": {"org_id": "x" * 9_000}}}),
    "account number of 9 kB": encoded({"identity": {"account_number": "7" * 9_000}}),
    "account number of 9 kB beside an org id": encoded({"identity": {**USER, "account_number": "7" * 9_000}}),
    "account number with NUL": encoded({"identity": {**USER, "account_number": "7\0"}}),
    "internal a list": encoded({"identity": {"internal": ["1"]}}),
    "internal org id a number": encoded({"identity": {"internal": {"org_id": 1}}}),
    "internal org id empty": encoded({"identity": {"internal": {"org_id": ""}}}),
    "account number a number": encoded({"identity": {"account_number": 1}}),
    "account number empty": encoded({"identity": {"account_number": ""}}),
    "type a number": encoded({"identity": {**USER, "type": 1}}),
    "user a list": encoded({"identity": {**USER, "user": ["u"]}}),
    "email with NUL": encoded({"identity": {**USER, "user": {"email": "\0"}}}),
    "email a number": encoded({"identity": {**USER, "user": {"email": 1}}}),
    "entitlements a list": encoded({"identity": USER, "entitlements": ["rhel"]}),
    "entitlement text": encoded({"identity": USER, "entitlements": {"rhel": "yes"}}),
    "is_entitled text": encoded({"identity": USER, "entitlements": {"rhel": {"is_entitled": "true"}}}),
    "is_entitled a number": encoded({"identity": USER, "entitlements": {"rhel": {"is_entitled": 1}}}),
    "nested 1,000 deep": raw("[" * 1000 + "]" * 1000),
    "nested 3,000 deep beside the id": raw('{"identity":{"org_id":"1","x":' + "[" * 3000 + "]" * 3000 + "}}"),
    "50 KB": encoded({"identity": USER, "x": "a" * 37_000}),
    "50 KB of nonsense": "A" * 50_000,
}


@pytest.mark.parametrize("header", NOBODIES.values(), ids=NOBODIES.keys())
def test_an_identity_header_without_an_identity_is_401(service: Service, header: str | bytes) -> None:
    refusal(ask(service, [("x-rh-identity", header)]), 401)


def test_a_missing_identity_header_is_401(service: Service) -> None:
    assert "x-rh-identity" in refusal(ask(service, []), 401)
    refusal(ask(service, [("x-fedora-identity", raw('{"user": "u"}'))]), 401)


def test_two_identity_headers_are_401_even_if_they_are_equal(service: Service) -> None:
    refusal(ask(service, IDENTITY * 2), 401)
    refusal(ask(service, [*IDENTITY, ("X-RH-IDENTITY", identity("another"))]), 401)
    refusal(ask(service, [("x-rh-identity", f"{identity('headers')}, {identity('another')}")]), 401)


@pytest.mark.parametrize("path", ["/version", "/ready", "/distributions", "/architectures/centos-9", "/composes"])
def test_an_unreadable_identity_header_is_401_for_every_operation(service: Service, path: str) -> None:
    refusal(ask(service, [("x-rh-identity", "!!!!")], path), 401)


def test_the_identity_is_checked_before_the_request(service: Service) -> None:
    refusal(ask(service, [], "/composes?limit=0"), 401)
    refusal(ask(service, [], "/composes/no-uuid"), 401)
    headers = {"Content-Type": "text/plain"}
    refusal(raw_http.call(service.url, "POST", f"{BASE}/compose", headers, b"\xff"), 401)


@pytest.mark.parametrize("org_id", ["headers", ""])
def test_an_associate_is_403(service: Service, org_id: str) -> None:
    header = encoded({"identity": {"org_id": org_id, "account_number": "1", "type": "Associate"}})
    for path in ("/composes", "/version", "/composes/no-uuid"):
        refusal(ask(service, [("x-rh-identity", header)], path), 403)


@pytest.mark.parametrize(
    "document",
    [
        {"identity": {"org_id": "1"}},
        {"identity": {"internal": {"org_id": "1"}}},
        {"identity": {"account_number": "1"}},
        {"identity": {"org_id": "1", "type": "System", "user": None}, "entitlements": None},
        {"identity": {"org_id": "1", "type": "ServiceAccount", "service_account": {"client_id": "c"}}},
        {"identity": {"org_id": "1", "type": "Robot", "x509": {"a": [1, None]}}, "entitlements": {}, "more": [1]},
        {"identity": {"org_id": "\U0001f600\u00e9"}},
        {"identity": {"org_id": "1" * 1000, "user": {"email": "e" * 5000}}},
        {"identity": {"org_id": " ", "internal": {"org_id": "1"}, "user": {"email": "a\nb"}}},
    ],
    ids=lambda document: json.dumps(document)[:60],
)
def test_an_organization_id_or_an_account_number_is_a_sufficient_identity(
    service: Service, document: dict[str, Any]
) -> None:
    client = service.client()
    headers = {"x-rh-identity": encoded(document)}
    answer = client.post("/compose", compose_request(), headers=headers)
    assert answer.status_code == 201
    assert client.get(f"/composes/{answer.json()['id']}", headers=headers).status_code == 200


def test_an_account_and_an_organization_of_the_same_digits_are_two_tenants(service: Service) -> None:
    organization = {"x-rh-identity": encoded({"identity": {"org_id": "4711"}})}
    account = {"x-rh-identity": encoded({"identity": {"account_number": "4711"}})}
    client = service.client()
    compose_id = client.post("/compose", compose_request(), headers=account).json()["id"]
    assert client.get(f"/composes/{compose_id}", headers=account).status_code == 200
    refusal(client.get(f"/composes/{compose_id}", headers=organization), 404)


def test_an_organization_cannot_be_named_like_an_account(service: Service) -> None:
    account = {"x-rh-identity": encoded({"identity": {"account_number": "4712"}})}
    posing = {"x-rh-identity": encoded({"identity": {"org_id": "account:4712"}})}
    client = service.client()
    compose_id = client.post("/compose", compose_request(), headers=account).json()["id"]
    refusal(client.get(f"/composes/{compose_id}", headers=posing), {401, 404})


def test_an_escaped_backslash_in_an_identity_is_not_nul(service: Service) -> None:
    document = {"identity": {**USER, "user": {"username": "DOMAIN\\u0000", "email": "a\\u0000b"}}}
    assert ask(service, [("x-rh-identity", encoded(document))]).status_code == 200


@pytest.fixture(scope="module")
def fedora(module_database: Parameters, composer_process: StandInComposer) -> Iterator[Service]:
    """A service for Fedora accounts."""
    with Service(module_database, composer_process.url, environment={"FEDORA_AUTH": "true"}) as running:
        yield running


def test_a_fedora_identity_needs_only_an_account_name(fedora: Service) -> None:
    assert ask(fedora, [("x-fedora-identity", encoded({"user": "alice", "more": 1}))]).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "!!!!",
        *map(encoded, [[], None, {}, {"user": 1}, {"user": None}, {"user": ""}, {"user": "a\0"}, {"user": ["a"]}]),
    ],
)
def test_a_fedora_header_without_an_identity_is_401(fedora: Service, header: str) -> None:
    refusal(ask(fedora, [("x-fedora-identity", header)]), 401)


def test_a_red_hat_identity_is_401_in_a_fedora_installation(fedora: Service) -> None:
    assert "x-fedora-identity" in refusal(ask(fedora, IDENTITY), 401)


def test_the_openapi_document_of_a_fedora_installation_names_its_header(fedora: Service) -> None:
    document = json.loads(raw_http.call(fedora.url, "GET", "/openapi.json").text)
    assert document["components"]["securitySchemes"]["identity"]["name"] == "x-fedora-identity"


# Request ids


@pytest.mark.parametrize("sent", ["5f2c1d9be0a84c4f9d3e7b6a1c0f2e48", "a", "UI/42:x_y-z.~", "x" * 100])
def test_a_request_id_is_returned(service: Service, sent: str) -> None:
    for path in ("/version", "/nope", "/composes/no-uuid"):
        assert ask(service, [*IDENTITY, (REQUEST_ID, sent)], path).headers[REQUEST_ID] == sent
    assert raw_http.call(service.url, "GET", "/status", [(REQUEST_ID, sent)]).headers[REQUEST_ID] == sent
    assert ask(service, [(REQUEST_ID, sent)]).headers[REQUEST_ID] == sent


@pytest.mark.parametrize(
    "sent",
    ["", " ", "a b", "a\tb", "\u00e9".encode(), b"\xff", b"a\x80b", "x" * 1000, "x" * 60_000],
    ids=lambda value: ascii(value)[:20],
)
def test_an_invalid_request_id_is_replaced(service: Service, sent: str | bytes) -> None:
    answer = ask(service, [*IDENTITY, (REQUEST_ID, sent)])
    assert answer.status_code == 200
    made = answer.headers.get_all(REQUEST_ID)
    assert made is not None
    assert len(made) == 1
    assert made[0].isascii()
    assert 8 <= len(made[0]) <= 128
    assert made[0].encode() != sent


def test_a_request_without_an_id_gets_a_new_one(service: Service) -> None:
    ids = {ask(service, IDENTITY, "/version").headers[REQUEST_ID] for _ in range(20)}
    assert len(ids) == 20


def test_one_of_two_request_ids_is_returned(service: Service) -> None:
    answer = ask(service, [*IDENTITY, (REQUEST_ID, "one"), (REQUEST_ID, "two")])
    assert answer.headers.get_all(REQUEST_ID) in (["one"], ["two"])


# Other headers


@pytest.mark.parametrize("length", [1000, 30_000, 60_000])
def test_a_long_unknown_header_is_ignored(service: Service, length: int) -> None:
    assert ask(service, [*IDENTITY, ("x-junk", "a" * length)]).status_code == 200


@pytest.mark.parametrize("length", [66_000, 300_000, 3_000_000])
def test_headers_of_more_than_64_kib_are_refused(service: Service, length: int) -> None:
    refusal(ask(service, [*IDENTITY, ("x-junk", "a" * length)]), 431)
    refusal(ask(service, [*IDENTITY, ("x" * length, "a")]), 431)


def test_a_thousand_headers_are_accepted(service: Service) -> None:
    assert ask(service, [*IDENTITY, *((f"x-{number}", "a") for number in range(1000))]).status_code == 200


def test_fifty_thousand_headers_are_refused(service: Service) -> None:
    refusal(ask(service, [*IDENTITY, *((f"x-{number}", "a") for number in range(50_000))]), 431)


@pytest.mark.parametrize("value", [b"\xff\xfe", "\u00e9".encode(), "\t", "a\tb", '"', "%00", "${jndi:ldap://x}"])
@pytest.mark.parametrize("name", ["x-junk", "x-strc-trace-id", "user-agent", "accept", "x-forwarded-for", "cookie"])
def test_unusual_header_values_cause_no_server_error(service: Service, name: str, value: str | bytes) -> None:
    assert ask(service, [*IDENTITY, (name, value)]).status_code == 200


@pytest.mark.parametrize("accept", ["text/html", "application/xml;q=0.1", "*/*", "nonsense", ""])
def test_the_answer_is_json_for_every_accept_header(service: Service, accept: str) -> None:
    answer = ask(service, [*IDENTITY, ("Accept", accept)])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-junk", "a\x00b"),
        ("x-junk", "a\x01b"),
        ("x-junk", "a\x7fb"),
        (REQUEST_ID, "a\x1bb"),
        ("x junk", "a"),
        ("x\x01", "a"),
        ("x-é".encode(), "a"),
        ("", "a"),
        ("x-junk", "a\r\n folded"),
        ("x-junk ", "a"),
    ],
    ids=ascii,
)
def test_a_header_that_the_http_parser_rejects_is_refused_in_the_format_of_the_contract(
    service: Service, name: str | bytes, value: str
) -> None:
    refusal(ask(service, [*IDENTITY, (name, value)]), 400)


def test_endless_headers_are_refused_before_they_fill_the_memory(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE) as endless:
        endless.sendall(b"GET /status HTTP/1.1\r\nhost: x\r\n")
        with suppress(OSError):
            for _ in range(1000):
                endless.sendall(b"x-filler: " + b"a" * 1000 + b"\r\n")
        answer = b""
        with suppress(OSError):
            answer = endless.recv(65536)
    assert not answer or answer.startswith(b"HTTP/1.1 431 ")
    assert service.client("after").get("/version").status_code == 200
