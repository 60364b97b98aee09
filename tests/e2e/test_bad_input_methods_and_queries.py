"""Invalid methods and queries, against the running service."""

from __future__ import annotations

import json

import pytest

from tests.support import raw_http
from tests.support.addresses import IDENTITY, METHODS, ROUTES, ask, short
from tests.support.builders import identity
from tests.support.refusals import REQUEST_ID, refusal
from tests.support.service import BASE, Service

pytestmark = pytest.mark.usefixtures("composer")

PAGES = ["/status", "/ready", "/metrics", "/openapi.json"]


# Methods


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("identified", [True, False], ids=["known", "unknown"])
def test_a_method_that_the_contract_lacks_is_405_with_the_allowed_methods(
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
def test_head_is_answered_like_get_without_a_body(service: Service, path: str) -> None:
    asked, got = ask(service, path, "HEAD"), ask(service, path)
    assert (asked.status_code, asked.headers["content-type"]) == (got.status_code, got.headers["content-type"])
    assert asked.headers.get("content-length") == got.headers.get("content-length")
    assert asked.content == b""
    assert asked.headers[REQUEST_ID]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_paths_outside_the_bases_accept_only_get_and_head(service: Service, path: str, method: str) -> None:
    answer = raw_http.call(service.url, method, path)
    refusal(answer, 405)
    assert "GET" in answer.headers["allow"]


def test_trace_does_not_return_the_identity(service: Service) -> None:
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
def test_a_limit_that_is_not_an_integer_from_1_to_100_is_refused(service: Service, text: str) -> None:
    detail = refusal(ask(service, f"/composes?limit={text}"), 400)
    assert "limit" in detail or "query string" in detail


@pytest.mark.parametrize(
    "text", ["-1", "1e2", "", "1.0", "%201", "1_0", "%00", "%ff", "%D9%A1", "x", "1&offset=2", "9" * 30, "9" * 5000]
)
def test_an_offset_that_is_not_an_integer_is_refused(service: Service, text: str) -> None:
    detail = refusal(ask(service, f"/composes?offset={text}"), 400)
    assert "offset" in detail or "query string" in detail


def test_a_query_with_very_many_parameters_is_refused(service: Service) -> None:
    assert ask(service, f"/composes?{'a=1&' * 900}limit=1").status_code == 200
    assert "more than 5000 parameters" in refusal(ask(service, f"/composes?{'a&' * 30_000}limit=1"), 400)


@pytest.mark.parametrize("offset", [0, 1, 10**6, 2**31, 2**32, 10**17])
def test_an_offset_past_the_end_is_an_empty_page(service: Service, offset: int) -> None:
    page = json.loads(raw_http.call(service.url, "GET", f"{BASE}/composes?offset={offset}", _nobody()).content)
    assert page["data"] == []


@pytest.mark.parametrize("offset", [2**63 - 1, 2**63, 2**64, 10**30])
def test_a_very_large_offset_causes_no_server_error(service: Service, offset: int) -> None:
    assert ask(service, f"/composes?offset={offset}").status_code in {200, 400}


def test_the_error_about_an_offset_names_its_maximum(service: Service) -> None:
    detail = refusal(ask(service, f"/composes?offset={'9' * 30}"), 400)
    assert any(character.isdigit() for character in detail.replace("from 0", ""))


@pytest.mark.parametrize("query", ["ignoreImageTypes=aws,vhd", "ignoreImageTypes=aws%2Cvhd", "ignoreImageTypes="])
def test_image_types_are_repeated_parameters_not_lists_with_commas(service: Service, query: str) -> None:
    assert "ignoreImageTypes" in refusal(ask(service, f"/composes?{query}"), 400)


@pytest.mark.parametrize(
    "query", ["ignoreImageTypes=nope", "ignoreImageTypes=aws&ignoreImageTypes=nope", "ignoreImageTypes=%00"]
)
def test_an_unknown_image_type_to_ignore_is_refused(service: Service, query: str) -> None:
    assert "ignoreImageTypes" in refusal(ask(service, f"/composes?{query}"), 400)


def test_a_thousand_image_types_to_ignore_cause_no_server_error(service: Service) -> None:
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
    ids=short,
)
@pytest.mark.parametrize("path", ["/composes", "/distributions", "/version", "/architectures/centos-9"])
def test_unknown_query_parameters_are_ignored(service: Service, path: str, query: str) -> None:
    answer = ask(service, f"{path}?{query}")
    assert answer.status_code == 200
    assert answer.content == ask(service, path).content


@pytest.mark.parametrize("query", ["nope=%ff", "%ff=1", "%ff", "nope=%c3", "nope=%"])
@pytest.mark.parametrize("path", ["/composes", "/version"])
def test_query_parameters_that_are_not_utf8_cause_no_server_error(service: Service, path: str, query: str) -> None:
    assert ask(service, f"{path}?{query}").status_code in {200, 400}


@pytest.mark.parametrize(
    "query", ["kind=", "kind=rpm", "kind=BOOTC", "kind=bootc&kind=bootc", "kind=%00", "kind=%ff", "kind=bootc,bootc"]
)
def test_an_unknown_kind_of_distribution_is_refused(service: Service, query: str) -> None:
    refusal(ask(service, f"/distributions?{query}"), 400)


@pytest.mark.parametrize("value", ["nope", "%F0%9F%98%80", "..", "%25", "'%20OR%201=1", "x" * 50_000], ids=short)
@pytest.mark.parametrize("name", ["distro", "arch", "type"])
def test_a_filter_without_matches_gives_an_empty_list(service: Service, name: str, value: str) -> None:
    answer = ask(service, f"/distributions?kind=bootc&{name}={value}")
    assert (answer.status_code, json.loads(answer.content)) == (200, [])


@pytest.mark.parametrize("name", ["distro", "arch", "type"])
def test_a_filter_that_is_not_valid_text_is_refused(service: Service, name: str) -> None:
    for value in ("%00", "%ff", "a&arch=b&distro=b&type=b"):
        refusal(ask(service, f"/distributions?kind=bootc&{name}={value}"), 400)


def _nobody() -> dict[str, str]:
    return {"x-rh-identity": identity("has no builds")}
