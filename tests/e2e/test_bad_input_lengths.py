"""Invalid lengths and media types of bodies, against the running service: never a 5xx."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support import raw_http
from tests.support.bodies import JSON, encoded, post, post_chunked, short
from tests.support.builders import identity
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.service import BASE, Service

pytestmark = pytest.mark.usefixtures("composer")

MIB = 1024 * 1024
SMALL = 4096


def file_of(length: int) -> bytes:
    """A ComposeRequest with a file that makes it exactly this long."""
    empty = encoded(customizations={"files": [{"path": "/etc/large", "data": ""}]})
    return empty.replace(b'"data": ""', b'"data": "%b"' % (b"a" * (length - len(empty))))


# Length


@pytest.fixture(scope="module")
def small(module_database: Parameters, composer_process: StandInComposer) -> Iterator[Service]:
    """A service that accepts bodies of at most 4 KiB."""
    with Service(module_database, composer_process.url, environment={"MAX_BODY_BYTES": str(SMALL)}) as running:
        yield running


def test_a_body_as_long_as_the_limit_is_accepted(small: Service) -> None:
    assert post(small, file_of(SMALL)).status_code == 201
    answer = post_chunked(small, file_of(SMALL)[:3000], file_of(SMALL)[3000:])
    assert answer is not None
    assert answer.status_code == 201


def test_a_body_one_byte_longer_is_too_large(small: Service) -> None:
    assert str(SMALL) in refusal(post(small, file_of(SMALL + 1)), 413)


def test_a_chunked_body_one_byte_longer_is_too_large(small: Service) -> None:
    body = file_of(SMALL + 1)
    assert str(SMALL) in refusal(post_chunked(small, body[:3000], body[3000:]), 413)


def test_a_length_over_the_limit_is_refused_before_the_body_is_sent(small: Service) -> None:
    headers = {"x-rh-identity": identity("bodies"), **JSON, "Content-Length": str(10**15)}
    refusal(raw_http.send(small.url, raw_http.head("POST", f"{BASE}/compose", headers), method="POST"), 413)


def test_an_endless_chunked_body_is_refused_before_it_ends(small: Service) -> None:
    headers = {"x-rh-identity": identity("bodies"), **JSON, "Transfer-Encoding": "chunked"}
    chunk = b"1000\r\n" + b"a" * 4096 + b"\r\n"
    head = raw_http.head("POST", f"{BASE}/compose", headers)
    refusal(raw_http.send(small.url, head, *[chunk] * 64, method="POST"), 413)


def test_a_body_that_is_too_large_is_too_large_whatever_its_media_type(small: Service) -> None:
    refusal(post(small, b"a" * (SMALL + 1), {"Content-Type": "text/plain"}), {413, 415})


def test_a_large_body_without_an_identity_is_not_read(small: Service) -> None:
    headers = {**JSON, "Content-Length": str(10**9)}
    refusal(raw_http.send(small.url, raw_http.head("POST", f"{BASE}/compose", headers), method="POST"), 401)


def test_a_file_of_almost_4_mib_is_accepted_by_default(service: Service) -> None:
    client = service.client("large")
    answer = post(service, file_of(int(3.9 * MIB)), org_id="large")
    assert answer.status_code == 201
    compose_id = json.loads(answer.content)["id"]
    (file,) = client.get(f"/composes/{compose_id}").json()["request"]["customizations"]["files"]
    assert len(file["data"]) > 3.8 * MIB
    assert client.get("/composes").json()["meta"]["count"] == 1


def test_more_than_4_mib_is_too_large_by_default(service: Service) -> None:
    assert post(service, file_of(4 * MIB)).status_code == 201
    refusal(post(service, file_of(4 * MIB + 1)), 413)
    body = file_of(4 * MIB + 1)
    refusal(post_chunked(service, *(body[at : at + 65536] for at in range(0, len(body), 65536))), 413)


@pytest.mark.parametrize("pieces", [1, 7, 100])
def test_a_valid_body_may_come_in_chunks(service: Service, pieces: int) -> None:
    body = encoded(image_name="in chunks")
    step = len(body) // pieces + 1
    answer = post_chunked(service, *(body[at : at + step] for at in range(0, len(body), step)))
    assert answer is not None
    assert answer.status_code == 201


def test_a_chunked_body_without_chunks_is_an_empty_body(service: Service) -> None:
    refusal(post_chunked(service), 400)


# Media type


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json;charset=utf-8",
        "application/json; charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json ; charset=utf8",
    ],
)
def test_json_is_accepted_with_and_without_a_charset(service: Service, media_type: str) -> None:
    assert post(service, encoded(), {"Content-Type": media_type}).status_code == 201


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=klingon",
        "application/json; charset=utf-16",
        "application/json; charset=",
        "application/jsonp",
        "application/json, text/plain",
        "application/*",
        "*/*",
        "json",
        ";",
        "/",
        "x" * 10_000,
        "application/json\u00e9",
    ],
    ids=short,
)
def test_any_other_media_type_is_415(service: Service, media_type: str) -> None:
    refusal(post(service, encoded(), {"Content-Type": media_type}), 415)


def test_a_body_without_a_media_type_is_415(service: Service) -> None:
    refusal(post(service, encoded(), {}), 415)
    refusal(post(service, encoded(), {"Content-Type": ""}), 415)


def test_a_compressed_body_is_refused(service: Service) -> None:
    refusal(post(service, b"\x1f\x8b\x08\x00" + b"x" * 50, {**JSON, "Content-Encoding": "gzip"}), {400, 415})


def test_an_unexpected_body_is_ignored(service: Service) -> None:
    headers = {"x-rh-identity": identity("bodies"), **JSON}
    for body in (b"{}", b"\xff\x00", b"a" * MIB):
        assert raw_http.call(service.url, "GET", f"{BASE}/composes?limit=1", headers, body).status_code == 200
