"""Invalid documents, against the running service: refused in the format of the contract, never with a 5xx."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.bodies import encoded, post, short
from tests.support.builders import compose_request
from tests.support.refusals import refusal
from tests.support.service import Service

pytestmark = pytest.mark.usefixtures("composer")

HOLE = "a hole in the document"


def with_text(text: str, value: str | bytes) -> bytes:
    """A ComposeRequest in which JSON's `text` is replaced; `{hole}` is the place of the value."""
    raw = value if isinstance(value, bytes) else value.encode()
    return text.encode().replace(json.dumps(HOLE).encode(), raw)


def with_size(value: str | bytes) -> bytes:
    return with_text(json.dumps(compose_request(image={"size": HOLE})), value)


def with_min_size(value: str | bytes) -> bytes:
    return with_text(
        json.dumps(compose_request(customizations={"filesystem": [{"mountpoint": "/var", "min_size": HOLE}]})), value
    )


def with_gid(value: str | bytes) -> bytes:
    return with_text(json.dumps(compose_request(customizations={"groups": [{"name": "g", "gid": HOLE}]})), value)


def with_owner(value: str | bytes) -> bytes:
    return with_text(json.dumps(compose_request(customizations={"files": [{"path": "/etc/x", "user": HOLE}]})), value)


def with_option(value: str | bytes) -> bytes:
    return with_text(json.dumps(compose_request(image={"options": {"mine": HOLE}})), value)


# Characters


@pytest.mark.parametrize("text", ["a\0b", "\ud800x", "x\udfff", "\udc00\ud800"], ids=ascii)
@pytest.mark.parametrize(
    "place",
    [
        "image_name",
        "package",
        "key",
        "key of options",
        "value in options",
        "enum",
        "user name",
        "file",
        "unknown field",
    ],
)
def test_nul_and_lone_surrogates_are_refused_in_every_place(service: Service, place: str, text: str) -> None:
    fields: dict[str, dict[str, Any]] = {
        "image_name": {"image_name": text},
        "package": {"customizations": {"packages": [text]}},
        "key": {text: 1},
        "key of options": {"image": {"options": {text: 1}}},
        "value in options": {"image": {"options": {"deep": [{"down": text}]}}},
        "enum": {"distribution": text},
        "user name": {"customizations": {"users": [{"name": text}]}},
        "file": {"customizations": {"files": [{"path": "/etc/x", "data": text}]}},
        "unknown field": {"customizations": {"who knows": {text: text}}},
    }
    refusal(post(service, encoded(**fields[place])), 400)


def test_an_escaped_backslash_before_u0000_is_plain_text(service: Service) -> None:
    client = service.client("escaped")
    compose_id = client.compose(compose_request(image_name="a\\u0000b", image={"options": {"\\u0000": "\\ud800"}}))
    request = client.get(f"/composes/{compose_id}").json()["request"]
    assert request["image_name"] == "a\\u0000b"
    assert request["image_requests"][0]["upload_request"]["options"] == {"\\u0000": "\\ud800"}
    (item,) = client.get("/composes").json()["data"]
    assert item["image_name"] == "a\\u0000b"


@pytest.mark.parametrize(
    "text", ["\U0001f600" * 100, "a\u2028\ufffe\uffff\x7f\x80", "\x01\x1f\t", "\u0131 \u0130 ß \u202e"], ids=ascii
)
def test_other_unusual_characters_are_returned_unchanged(service: Service, text: str) -> None:
    client = service.client("odd characters")
    compose_id = client.compose(compose_request(image_name=text))
    assert client.get(f"/composes/{compose_id}").json()["request"]["image_name"] == text
    assert client.get("/composes?limit=1").json()["data"][0]["image_name"] == text


def test_the_length_of_a_text_is_counted_in_characters_not_bytes(service: Service) -> None:
    assert post(service, encoded(image_name="\U0001f600" * 100)).status_code == 201
    assert "image_name" in refusal(post(service, encoded(image_name="\U0001f600" * 101)), 400)


@pytest.mark.parametrize(
    "raw",
    [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\x00", b"\x01", b"\n"],
    ids=repr,
)
def test_bytes_that_are_not_utf8_or_not_json_are_refused(service: Service, raw: bytes) -> None:
    refusal(post(service, encoded(image_name="HOLE").replace(b"HOLE", raw)), 400)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_byte_order_mark_or_another_encoding_is_refused(service: Service, encoding: str) -> None:
    refusal(post(service, encoded().decode().encode(encoding)), 400)


# Documents


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b" ",
        b"{",
        b"{}x",
        b'{"a":1,}',
        b"{'a':1}",
        b"null",
        b"[]",
        b"0",
        b'"{}"',
        b"true",
        b"{}",
        b"undefined",
    ],
    ids=repr,
)
def test_a_body_that_is_not_a_compose_request_is_refused(service: Service, body: bytes | None) -> None:
    refusal(post(service, body), 400)


@pytest.mark.parametrize("body", [encoded() + b"x", encoded() + encoded(), encoded()[:-1], encoded()[1:]])
def test_no_document_and_more_than_one_document_are_refused(service: Service, body: bytes) -> None:
    refusal(post(service, body), 400)


def test_white_space_around_the_document_is_allowed(service: Service) -> None:
    assert post(service, b" \r\n\t" + encoded() + b"\n\n").status_code == 201


@pytest.mark.parametrize("open_and_close", [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")], ids=["[", "{", "[{"])
@pytest.mark.parametrize("levels", [100, 1000, 3000, 100_000])
@pytest.mark.parametrize("place", ["body", "options", "size", "min_size", "unclosed", "enum"])
def test_deep_nesting_is_refused(
    service: Service, place: str, levels: int, open_and_close: tuple[bytes, bytes]
) -> None:
    opened, closed = open_and_close
    deep = opened * levels + b"1" + closed * levels
    bodies = {
        "body": deep,
        "options": with_option(deep),
        "size": with_size(deep),
        "min_size": with_min_size(deep),
        "unclosed": opened * levels,
        "enum": with_text(json.dumps(compose_request(distribution=HOLE)), deep),
    }
    refusal(post(service, bodies[place]), 400)


@pytest.mark.parametrize("levels", [100, 1000, 100_000])
def test_deep_nesting_in_a_dropped_field_causes_no_server_error(service: Service, levels: int) -> None:
    document = json.dumps(compose_request(customizations={"who knows": HOLE}))
    client = service.client("deep and dropped")
    answer = post(service, with_text(document, b"[" * levels + b"]" * levels), org_id="deep and dropped")
    assert answer.status_code in {201, 400}
    assert client.get("/composes").status_code == 200


def test_moderate_nesting_in_upload_options_is_stored_unchanged(service: Service) -> None:
    client = service.client("nesting")
    options: Any = {"leaf": 1}
    for _ in range(25):
        options = {"deeper": [options]}
    compose_id = client.compose(compose_request(image={"options": options}))
    request = client.get(f"/composes/{compose_id}").json()["request"]
    assert request["image_requests"][0]["upload_request"]["options"] == options
    assert client.get("/composes").status_code == 200


def test_one_value_of_a_repeated_key_is_used_and_checked(service: Service) -> None:
    twice = encoded(image_name="second").replace(b"{", b'{"image_name": "first", ', 1)
    assert post(service, twice).status_code == 201
    assert post(service, twice.replace(b'"second"', b"1")).status_code == 400


# Numbers


NO_WHOLE_NUMBERS = [
    *("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "1.0", "1.5", "1e3", "0.0", "-0.0"),
    *("true", "false", "null", '"1"', '"10 GiB"', "[]", "[1]", "{}", "01", "+1", "0x10", "1_000", "--1", "."),
    *("9" * 400, "-" + "9" * 400, "9" * 100_000),
]


@pytest.mark.parametrize("number", [*NO_WHOLE_NUMBERS, "-1", str(2**64), str(-(2**64))], ids=short)
def test_size_and_min_size_are_whole_numbers_of_bytes(service: Service, number: str) -> None:
    refusal(post(service, with_size(number)), 400)
    refusal(post(service, with_min_size(number)), 400)


@pytest.mark.parametrize("number", NO_WHOLE_NUMBERS, ids=short)
def test_an_integer_is_a_whole_number(service: Service, number: str) -> None:
    refusal(post(service, with_gid(number)), 400)
    if number not in {'"1"', '"10 GiB"'}:  # a name
        refusal(post(service, with_owner(number)), 400)


@pytest.mark.parametrize("number", [2**64, 10**30, -(2**63) - 1])
def test_a_very_large_group_id_causes_no_server_error(service: Service, number: int) -> None:
    assert post(service, with_gid(str(number))).status_code in {201, 400}
    assert post(service, with_owner(str(number))).status_code in {201, 400}


@pytest.mark.parametrize("size", [0, 1, 2**53 + 1, 2**63, 2**64 - 1])
def test_a_size_up_to_2_to_the_64_is_returned_exactly(service: Service, size: int) -> None:
    client = service.client("sizes")
    compose_id = client.compose(
        compose_request(image={"size": size}, customizations={"filesystem": [{"mountpoint": "/var", "min_size": size}]})
    )
    for request in (
        client.get(f"/composes/{compose_id}").json()["request"],
        client.get("/composes?limit=1").json()["data"][0]["request"],
    ):
        assert request["image_requests"][0]["size"] == size
        assert request["customizations"]["filesystem"][0]["min_size"] == size


def test_sizes_whose_sum_exceeds_2_to_the_64_cause_no_server_error(service: Service) -> None:
    filesystems = [{"mountpoint": f"/var/{number}", "min_size": 2**64 - 1} for number in range(100)]
    answer = post(service, encoded(customizations={"filesystem": filesystems}))
    assert answer.status_code in {201, 400}
