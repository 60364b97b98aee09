"""Paths, queries and methods that nobody should send, against the running service."""

from __future__ import annotations

import json
import time

import pytest

from tests.support import raw_http
from tests.support.builders import compose_request, identity
from tests.support.raw_http import Answer
from tests.support.refusals import REQUEST_ID, refusal
from tests.support.service import BASE, Service

pytestmark = pytest.mark.usefixtures("composer")

BASES = ["/api/image-builder/v1", "/api/image-builder/v1.0", "/api/v1/image-builder"]
IDENTITY = {"x-rh-identity": identity("addresses")}
UNKNOWN = "7709b691-15a9-4dae-ae96-d6584b9f389f"
# Each operation's own methods; HEAD comes with GET.
ROUTES = {
    "/version": {"GET"},
    "/ready": {"GET"},
    "/openapi.json": {"GET"},
    "/distributions": {"GET"},
    "/architectures/centos-9": {"GET"},
    "/compose": {"POST"},
    "/composes": {"GET"},
    f"/composes/{UNKNOWN}": {"GET", "DELETE"},
    f"/composes/{UNKNOWN}/metadata": {"GET"},
}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
PAGES = ["/status", "/ready", "/metrics", "/openapi.json"]


def ask(service: Service, target: str | bytes, method: str = "GET", *, identified: bool = True) -> Answer:
    """A request below the base, byte by byte."""
    raw = target if isinstance(target, bytes) else target.encode("latin-1")
    return raw_http.call(service.url, method, BASE.encode() + raw, IDENTITY if identified else {})


# Paths


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


def _short(text: str) -> str:
    return text if len(text) < 60 else f"{text[:8]}... {len(text)} characters"


@pytest.mark.parametrize("value", TRICKS, ids=_short)
@pytest.mark.parametrize("template", ["/composes/{}", "/composes/{}/metadata", "/architectures/{}"])
def test_a_path_parameter_that_is_no_value_is_refused(service: Service, template: str, value: str) -> None:
    refusal(ask(service, template.format(value)), {400, 404})


@pytest.mark.parametrize("value", TRICKS, ids=_short)
def test_deleting_by_an_id_that_is_no_uuid_is_refused(service: Service, value: str) -> None:
    refusal(ask(service, f"/composes/{value}", "DELETE"), {400, 404})


@pytest.mark.parametrize("value", SLASHES)
@pytest.mark.parametrize("template", ["/composes/{}", "/composes/{}/metadata", "/architectures/{}"])
def test_an_encoded_slash_makes_no_way_to_another_resource(service: Service, template: str, value: str) -> None:
    refusal(ask(service, template.format(value)), {400, 404})


def test_an_encoded_slash_is_part_of_the_id_and_no_separator(service: Service) -> None:
    client = service.client("addresses")
    compose_id = client.compose(compose_request())
    deadline = time.monotonic() + 10
    while client.get(f"/composes/{compose_id}").json()["image_status"]["status"] != "success":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert client.get(f"/composes/{compose_id}/metadata").status_code == 200
    refusal(ask(service, f"/composes/{compose_id}%2Fmetadata"), {400, 404})


@pytest.mark.parametrize(
    "value", ["no-uuid", UNKNOWN.replace("-", ""), f"{{{UNKNOWN}}}", f"urn:uuid:{UNKNOWN}", "%ff", "%00"]
)
def test_an_id_that_is_no_uuid_is_400_and_names_the_parameter(service: Service, value: str) -> None:
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
        "/docs/",
    ],
)
@pytest.mark.parametrize("identified", [True, False], ids=["known", "unknown"])
def test_an_unknown_path_is_404_for_everybody_and_never_a_redirect(
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
def test_outside_the_bases_an_unknown_path_is_404(service: Service, target: str) -> None:
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
def test_a_path_the_http_parser_does_not_take_is_refused_in_the_contracts_words(service: Service, target: str) -> None:
    refusal(ask(service, target.encode("latin-1")), {400, 404, 414, 431})


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("path", [path for path in ROUTES if path != "/openapi.json"])
def test_everything_below_a_base_wants_an_identity_but_the_document(service: Service, base: str, path: str) -> None:
    method = "POST" if path == "/compose" else "GET"
    refusal(raw_http.call(service.url, method, base + path), 401)
    assert raw_http.call(service.url, "GET", f"{base}/openapi.json").status_code == 200


# Methods


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("identified", [True, False], ids=["known", "unknown"])
def test_a_method_the_contract_does_not_have_is_405_and_says_which_there_are(
    service: Service, path: str, method: str, *, identified: bool
) -> None:
    methods = ROUTES[path] | ({"HEAD"} if "GET" in ROUTES[path] else set())
    if method in methods:
        return
    answer = ask(service, path, method, identified=identified)
    assert answer.status_code == 405
    if method != "HEAD":
        refusal(answer, 405)
    allowed = {name.strip() for name in answer.headers["allow"].split(",")}
    assert allowed - {"HEAD"} == ROUTES[path]


@pytest.mark.parametrize("path", [path for path in ROUTES if path != "/compose"])
def test_head_is_get_without_a_body(service: Service, path: str) -> None:
    asked, got = ask(service, path, "HEAD"), ask(service, path)
    assert (asked.status_code, asked.headers["content-type"]) == (got.status_code, got.headers["content-type"])
    assert asked.headers.get("content-length") == got.headers.get("content-length")
    assert asked.content == b""
    assert asked.headers[REQUEST_ID]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_the_pages_outside_the_bases_are_only_read(service: Service, path: str, method: str) -> None:
    answer = raw_http.call(service.url, method, path)
    refusal(answer, 405)
    assert "GET" in answer.headers["allow"]


def test_a_trace_does_not_send_the_identity_back(service: Service) -> None:
    for target in (f"{BASE}/version", "/status"):
        assert IDENTITY["x-rh-identity"] not in raw_http.call(service.url, "TRACE", target, IDENTITY).text


# Queries


@pytest.mark.parametrize(
    "text",
    [
        "1_0",
        "0",
        "101",
        "-1",
        "1e2",
        "",
        "1.0",
        "+1",
        "%2B1",
        "%201",
        "1%20",
        "0x10",
        "true",
        "null",
        "abc",
        "1,2",
        "1;2",
        "%00",
        "1%00",
        "%ff",
        "%D9%A1",
        "%EF%BC%91",
        "9" * 30,
        "-" + "9" * 30,
        "1%0a",
        "[1]",
        "1&limit=2",
        "1&limit=1",
    ],
)
def test_a_limit_that_is_no_whole_number_from_1_to_100_is_refused(service: Service, text: str) -> None:
    detail = refusal(ask(service, f"/composes?limit={text}"), 400)
    assert "limit" in detail or "query string" in detail


@pytest.mark.parametrize(
    "text", ["-1", "1e2", "", "1.0", "%201", "1_0", "%00", "%ff", "%D9%A1", "x", "1&offset=2", "9" * 30, "9" * 5000]
)
def test_an_offset_that_is_no_whole_number_is_refused(service: Service, text: str) -> None:
    detail = refusal(ask(service, f"/composes?offset={text}"), 400)
    assert "offset" in detail or "query string" in detail


@pytest.mark.parametrize("offset", [0, 1, 10**6, 2**31, 2**32, 10**17])
def test_an_offset_past_the_end_is_an_empty_page(service: Service, offset: int) -> None:
    page = json.loads(raw_http.call(service.url, "GET", f"{BASE}/composes?offset={offset}", _nobody()).content)
    assert page["data"] == []


@pytest.mark.parametrize("offset", [2**63 - 1, 2**63, 2**64, 10**30])
def test_an_offset_that_no_database_counts_to_is_no_server_error(service: Service, offset: int) -> None:
    assert ask(service, f"/composes?offset={offset}").status_code in {200, 400}


def test_a_refused_offset_says_how_far_it_may_go(service: Service) -> None:
    detail = refusal(ask(service, f"/composes?offset={'9' * 30}"), 400)
    assert any(character.isdigit() for character in detail.replace("from 0", ""))


@pytest.mark.parametrize("query", ["ignoreImageTypes=aws,vhd", "ignoreImageTypes=aws%2Cvhd", "ignoreImageTypes="])
def test_image_types_are_repeated_never_joined_by_commas(service: Service, query: str) -> None:
    assert "ignoreImageTypes" in refusal(ask(service, f"/composes?{query}"), 400)


@pytest.mark.parametrize(
    "query", ["ignoreImageTypes=nope", "ignoreImageTypes=aws&ignoreImageTypes=nope", "ignoreImageTypes=%00"]
)
def test_an_unknown_image_type_to_ignore_is_refused(service: Service, query: str) -> None:
    assert "ignoreImageTypes" in refusal(ask(service, f"/composes?{query}"), 400)


def test_a_thousand_image_types_to_ignore_do_no_harm(service: Service) -> None:
    assert ask(service, "/composes?" + "&".join(["ignoreImageTypes=aws"] * 1000)).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "nope=1",
        "limit[]=0",
        "Limit=0",
        "LIMIT=x",
        "nope=%00",
        "%00=1",
        "&&&",
        "=",
        "a=b=c",
        "?",
        "nope",
        "[]=1",
        "nope=" + "x" * 50000,
        "&".join(f"q{number}=1" for number in range(3000)),
    ],
    ids=_short,
)
@pytest.mark.parametrize("path", ["/composes", "/distributions", "/version", "/architectures/centos-9"])
def test_unknown_query_parameters_are_ignored(service: Service, path: str, query: str) -> None:
    answer = ask(service, f"{path}?{query}")
    assert answer.status_code == 200
    assert answer.content == ask(service, path).content


@pytest.mark.parametrize("query", ["nope=%ff", "%ff=1", "%ff", "nope=%c3", "nope=%"])
@pytest.mark.parametrize("path", ["/composes", "/version"])
def test_query_parameters_that_are_no_text_are_no_server_error(service: Service, path: str, query: str) -> None:
    assert ask(service, f"{path}?{query}").status_code in {200, 400}


@pytest.mark.parametrize(
    "query", ["kind=", "kind=rpm", "kind=BOOTC", "kind=bootc&kind=bootc", "kind=%00", "kind=%ff", "kind=bootc,bootc"]
)
def test_a_kind_of_distribution_that_there_is_not_is_refused(service: Service, query: str) -> None:
    refusal(ask(service, f"/distributions?{query}"), 400)


@pytest.mark.parametrize("value", ["nope", "%F0%9F%98%80", "..", "%25", "'%20OR%201=1", "x" * 50_000], ids=_short)
@pytest.mark.parametrize("name", ["distro", "arch", "type"])
def test_a_filter_that_nothing_fits_leaves_an_empty_list(service: Service, name: str, value: str) -> None:
    answer = ask(service, f"/distributions?kind=bootc&{name}={value}")
    assert (answer.status_code, json.loads(answer.content)) == (200, [])


@pytest.mark.parametrize("name", ["distro", "arch", "type"])
def test_a_filter_that_no_text_can_be_is_refused(service: Service, name: str) -> None:
    for value in ("%00", "%ff", "a&arch=b&distro=b&type=b"):
        refusal(ask(service, f"/distributions?kind=bootc&{name}={value}"), 400)


def _nobody() -> dict[str, str]:
    return {"x-rh-identity": identity("has no builds")}
