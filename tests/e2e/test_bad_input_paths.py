"""Invalid paths, against the running service."""

from __future__ import annotations

import pytest

from tests.support import raw_http
from tests.support.addresses import IDENTITY, METHODS, ROUTES, UNKNOWN, ask, short
from tests.support.builders import compose_request
from tests.support.composes import wait_for_end
from tests.support.refusals import refusal
from tests.support.service import Service

pytestmark = pytest.mark.usefixtures("composer")

BASES = ["/api/image-builder/v1", "/api/image-builder/v1.0", "/api/v1/image-builder"]
TRICKS = [
    "..",
    "%2e%2e",
    ".",
    "%2e",
    "...",
    "%00",
    f"{UNKNOWN}%00",
    "%ff",
    "%c3%28",
    "%ed%a0%80",
    "%c3%a9",
    "%F0%9F%98%80",
    "%ef%bc%91",
    "%",
    "%zz",
    "%u0041",
    "%25%32%65",
    "%20",
    f"{UNKNOWN}%20",
    f"{UNKNOWN}%0a",
    f"%09{UNKNOWN}",
    f"{{{UNKNOWN}}}",
    f"urn:uuid:{UNKNOWN}",
    UNKNOWN.replace("-", ""),
    UNKNOWN[:-1],
    f"{UNKNOWN}0",
    "%d9%a0" * 8 + UNKNOWN[8:],
    "a;b=c",
    "a%3fb",
    "a%23b",
    "*",
    "'%20OR%201=1--",
    "$%7Bx%7D",
    "%3Cscript%3E",
    "null",
    "-1",
    "a" * 1000,
    "a" * 50_000,
]
SLASHES = [
    "a%2Fb",
    "%2F",
    "%2fetc%2fpasswd",
    "..%2f..%2fversion",
    "%2e%2e%2fversion",
    "%5c..%5c",
]


@pytest.mark.parametrize("value", TRICKS, ids=short)
@pytest.mark.parametrize("template", ["/composes/{}", "/composes/{}/metadata", "/architectures/{}"])
def test_an_invalid_path_parameter_is_refused(service: Service, template: str, value: str) -> None:
    refusal(ask(service, template.format(value)), {400, 404})


@pytest.mark.parametrize("value", TRICKS, ids=short)
def test_deleting_by_an_id_that_is_not_a_uuid_is_refused(service: Service, value: str) -> None:
    refusal(ask(service, f"/composes/{value}", "DELETE"), {400, 404})


@pytest.mark.parametrize("value", SLASHES)
@pytest.mark.parametrize("template", ["/composes/{}", "/composes/{}/metadata", "/architectures/{}"])
def test_an_encoded_slash_does_not_lead_to_another_resource(service: Service, template: str, value: str) -> None:
    refusal(ask(service, template.format(value)), {400, 404})


def test_an_encoded_slash_is_part_of_the_id_and_not_a_separator(service: Service) -> None:
    client = service.client("addresses")
    compose_id = client.compose(compose_request())
    assert wait_for_end(client, compose_id)["status"] == "success"
    assert client.get(f"/composes/{compose_id}/metadata").status_code == 200
    refusal(ask(service, f"/composes/{compose_id}%2Fmetadata"), {400, 404})


@pytest.mark.parametrize(
    "value", ["no-uuid", UNKNOWN.replace("-", ""), f"{{{UNKNOWN}}}", f"urn:uuid:{UNKNOWN}", "%ff", "%00"]
)
def test_an_id_that_is_not_a_uuid_is_400_and_the_error_names_the_parameter(service: Service, value: str) -> None:
    assert "composeId" in refusal(ask(service, f"/composes/{value}"), 400)
    assert "composeId" in refusal(ask(service, f"/composes/{value}/metadata"), 400)
    assert "composeId" in refusal(ask(service, f"/composes/{value}", "DELETE"), 400)


def test_an_id_in_capital_letters_is_the_same_id(service: Service) -> None:
    client = service.client("addresses")
    compose_id = client.compose(compose_request())
    assert client.get(f"/composes/{compose_id.upper()}").status_code == 200


def test_an_encoded_letter_is_the_letter(service: Service) -> None:
    assert ask(service, "/architectures/%63entos-9").content == ask(service, "/architectures/centos-9").content


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/nope",
        "//",
        "//version",
        "/version/",
        "/version//",
        "/version/nope",
        "/version%00",
        "/version%2f",
        "/version%20",
        "/Version",
        "/version.json",
        "/version;x=1",
        "/composes/",
        "/composes//",
        "/composes//metadata",
        f"/composes/{UNKNOWN}/",
        f"//composes/{UNKNOWN}",
        f"/composes//{UNKNOWN}",
        f"/composes/{UNKNOWN}//metadata",
        f"/composes/{UNKNOWN}/metadata/",
        f"/composes/{UNKNOWN}/nope",
        f"/composes/{UNKNOWN}/metadata/../../../version",
        "/architectures",
        "/architectures/",
        "/architectures//centos-9",
        "/architectures/centos-9/",
        "/architectures/centos-9/x86_64",
        "/../v1/version",
        "/%2e%2e/v1/version",
        "/./version",
        "/compose/",
        "/openapi.json/",
        "/metrics",
        "/status",
        "/docs/nope",
    ],
)
@pytest.mark.parametrize("identified", [True, False], ids=["known", "unknown"])
def test_an_unknown_path_is_404_for_every_caller_and_never_a_redirect(
    service: Service, path: str, *, identified: bool
) -> None:
    answer = ask(service, path, identified=identified)
    refusal(answer, 404)
    assert "location" not in answer.headers


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_path_is_404_below_every_base_for_every_method(service: Service, base: str, method: str) -> None:
    answer = raw_http.call(service.url, method, f"{base}/nope", IDENTITY)
    if method == "HEAD":
        assert answer.status_code == 404
    else:
        refusal(answer, 404)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/api",
        "/api/",
        "/api/image-builder",
        "/api/image-builder/v2/version",
        "/api/image-builder/v1.1/version",
        "/api/image-builder/v10/version",
        "//api/image-builder/v1/version",
        "/API/image-builder/v1/version",
        "/favicon.ico",
        "/.env",
        "/status/",
        "/ready/",
        "/metrics/",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/docs/../metrics",
        "*",
        "/docs/nope",
        "/docs/..%2f..%2fpyproject.toml",
        "/docs/%00",
        "/docs/%2e%2e/%2e%2e/openapi.yaml",
        "/docs//etc/passwd",
    ],
)
def test_an_unknown_path_outside_the_bases_is_404(service: Service, target: str) -> None:
    answer = raw_http.call(service.url, "GET", target)
    refusal(answer, 404)
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    "target",
    [
        "/composes/\xff",
        "/composes/\xc3\xa9",
        "/composes/\x80",
        "/architectures/\xf0\x9f\x98\x80",
        "/composes/" + "a" * 100_000,
    ],
    ids=["ff", "e acute", "80", "emoji", "100 KB"],
)
def test_a_path_that_the_http_parser_rejects_is_refused_in_the_format_of_the_contract(
    service: Service, target: str
) -> None:
    refusal(ask(service, target.encode("latin-1")), {400, 404, 414, 431})


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("path", [path for path in ROUTES if path != "/openapi.json"])
def test_every_path_below_a_base_except_the_openapi_document_requires_an_identity(
    service: Service, base: str, path: str
) -> None:
    method = "POST" if path == "/compose" else "GET"
    refusal(raw_http.call(service.url, method, base + path), 401)
    assert raw_http.call(service.url, "GET", f"{base}/openapi.json").status_code == 200
