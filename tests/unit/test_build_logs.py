"""Logs of builds: what is read, what is masked, what is cut."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.build_logs import BuildLogs, cut_middle
from domain.masking import MASK, mask_document, secrets_of_request, text_masker
from tests.support.waiting import SOON

MiB = 1024 * 1024
HASH = "$6$rounds=5000$saltsalt$" + "a" * 40


def build(**log: Any) -> dict[str, Any]:
    return {"success": True, "osbuild_output": {"log": log}}


def text_of(*builds: dict[str, Any], request: str = "{}", largest: int = MiB) -> str:
    return BuildLogs.masked(builds, request).as_text(largest)


def test_a_failed_stage_is_the_last_one_and_marked() -> None:
    text = text_of(
        build(
            build=[{"type": "org.osbuild.rpm", "success": False, "output": "no space left", "error": {"code": 1}}],
            os=[{"type": "org.osbuild.copy", "success": True, "output": "copied", "duration": 12.34}],
        )
    )
    first, last = text.split("FAILED: ")
    assert "pipeline os, stage org.osbuild.copy (12.3 s)" in first
    assert "copied" in first
    assert last.startswith("pipeline build, stage org.osbuild.rpm\n")
    assert "no space left" in last
    assert '"code": 1' in last


def test_each_image_of_several_is_named() -> None:
    text = text_of(build(os=[{"type": "a", "output": "x"}]), build(os=[{"type": "b", "output": "y"}]))
    assert "Image 1 of 2, pipeline os, stage a" in text
    assert "Image 2 of 2, pipeline os, stage b" in text


def test_the_error_of_the_job_comes_last() -> None:
    text = text_of({**build(os=[{"type": "a", "output": "x"}]), "job_error": {"id": 11, "reason": "not uploaded"}})
    assert text.index("not uploaded") > text.index("stage a")


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"osbuild_output": None},
        {"osbuild_output": {"log": [1]}},
        {"osbuild_output": {"log": {"os": "text"}}},
        {"osbuild_output": {"log": {"os": [1, None, {"output": {"a": 1}}, {"duration": "long", "type": 7}]}}},
        {"koji": {"deep": [[["x"]]]}},
    ],
)
def test_results_of_any_shape_are_shown(result: dict[str, Any]) -> None:
    assert isinstance(text_of(result), str)
    assert json.dumps(BuildLogs.masked([result], "{}").as_document(MiB))


def test_what_could_change_a_terminal_is_left_out() -> None:
    assert "\x1b" not in text_of(build(os=[{"type": "a", "output": "\x1b[31mred\x07\r\nnext\tline"}]))


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"useradd alice --password {HASH}", HASH),
        (f"alice:{HASH}:19000:0", HASH),
        ("subscription-manager register --activationkey=my-key-1 --org 1", "my-key-1"),
        ("--activation-key my-key-1", "my-key-1"),
        ('"activation_key": "my-key-1"', "my-key-1"),
        ("https://robot:hunter2@registry.example/v2", "hunter2"),
        ("GET https://s3.example/x?X-Amz-Credential=AKIA1&X-Amz-Signature=abc123def&a=1", "abc123def"),
        ("Authorization: Bearer abcdef", "abcdef"),
        ("token=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJzdWIiOiIxIn0"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----", "MIIEow"),
        ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENC\nDEK-Info: AES-128-CBC,1\n\nMIIEow\n-----END", "MIIEow"),
        ("register with key-of-request", "key-of-request"),
        ('{"password": "three short words"}', "words"),
        ('"{\\"password\\": \\"three short words\\"}"', "words"),
        ("'passphrase': 'three short words'", "words"),
        ('"password": "with \\" a mark"', "mark"),
        ("--password 'three short words'", "words"),
        ("password=comma,semicolon;brace}", "brace"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI", "wJalrXUtnFEMI"),
        ("aws_secret_access_key: wJalrXUtnFEMI", "wJalrXUtnFEMI"),
        ("DefaultEndpointsProtocol=https;AccountKey=c2VjcmV0", "c2VjcmV0"),
        ("redis://:hunter2@cache.example:6379", "hunter2"),
        ("https://robot:hunt@er2@registry.example/v2", "er2"),
        ("https://abcdefghij0123456789@git.example/repo", "abcdefghij0123456789"),
        ('"Authorization": "Basic cm9ib3Q6aHVudGVyMg=="', "cm9ib3Q6aHVudGVyMg"),
        ("Cookie: session=abc; other=def", "def"),
        ("rootpw --plaintext hunter2", "hunter2"),
        ("git clone with ghp_0123456789abcdefghij", "ghp_0123456789abcdefghij"),
    ],
)
def test_secrets_are_masked(text: str, secret: str) -> None:
    request = '{"customizations": {"subscription": {"activation-key": "key-of-request", "organization": 1}}}'
    shown = text_of(build(os=[{"type": "a", "output": text}]), request=request)
    assert secret not in shown
    assert MASK in shown
    document = BuildLogs.masked([build(os=[{"output": text}])], request).as_document(MiB)
    assert secret not in json.dumps(document)


@pytest.mark.parametrize(
    "text", ["Installing: basic-functionality-tools", "detail: the file is missing", "key ring imported", "cost: $5"]
)
def test_other_text_is_left_as_it_is(text: str) -> None:
    assert text_masker()(text) == text


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ({"users": [{"password": "abc", "name": "alice"}]}, {"users": [{"password": MASK, "name": "alice"}]}),
        ({"tokens": ["abc", "def"]}, {"tokens": [MASK, MASK]}),
        ({"secret": {"value": "abc", "used": True}}, {"secret": {"value": MASK, "used": True}}),
        ({"api_key": 12345, "activation-key": None}, {"api_key": MASK, "activation-key": None}),
        ({"Authorization": "Basic abc"}, {"Authorization": MASK}),
        ({"aws_secret_access_key": "abc", "key": "abc"}, {"aws_secret_access_key": MASK, "key": "abc"}),
    ],
)
def test_values_of_secret_names_are_masked_whatever_they_hold(document: Any, shown: Any) -> None:
    assert mask_document({"options": document}, text_masker()) == {"options": shown}


def test_a_secret_of_the_request_is_masked_as_json_and_urls_write_it() -> None:
    mask = text_masker(['pä"ss wörd'])
    for written in ('pä"ss wörd', 'pä\\"ss wörd', 'p\\u00e4\\"ss w\\u00f6rd', "p%C3%A4%22ss%20w%C3%B6rd"):
        assert mask(f"value {written} end") == f"value {MASK} end"


@pytest.mark.parametrize(
    "part",
    [
        'password="',
        "password: ",
        "--password ",
        "://a:",
        "-----BEGIN PRIVATE KEY-----",
        "$6$",
        "rootpw ",
        "cookie:",
        '\\"',
    ],
)
def test_texts_that_begin_many_secrets_are_masked_in_linear_time(part: str) -> None:
    began = time.process_time()
    text_masker(["known"])(part * (MiB // len(part)))
    assert time.process_time() - began < SOON


def test_secrets_of_a_request_are_read_as_json_writes_them() -> None:
    assert secrets_of_request('{"activation-key": "a\\"b\\\\c", "x": {"host_config_key": "häst", "password": ""}}') == {
        'a"b\\c',
        "häst",
    }


@given(text=st.text(max_size=3000), largest=st.integers(64, 2000))
def test_the_middle_of_what_is_too_long_is_left_out(text: str, largest: int) -> None:
    cut = cut_middle(text, largest)
    assert len(cut.encode("utf-8", "replace")) <= largest + 60
    if len(text.encode("utf-8", "replace")) <= largest:
        assert cut == text
    else:
        assert "bytes left out" in cut
        assert cut[:8] == text[:8]
        assert cut[-8:] == text[-8:]


def test_long_logs_keep_the_failed_stage() -> None:
    stages = [{"type": "first", "output": "begin" + "x" * MiB}, {"type": "last", "success": False, "output": "why"}]
    text = text_of(build(os=stages), largest=64 * 1024)
    assert len(text) < 65 * 1024
    assert "begin" in text
    assert text.rstrip().endswith("why")
    document = BuildLogs.masked([build(os=stages)], "{}").as_document(64 * 1024)
    assert len(json.dumps(document)) < 66 * 1024
    assert '"why"' in json.dumps(document)


@pytest.mark.parametrize("value", [1234567, "x" * 20, {"a": None}], ids=["numbers", "texts", "objects"])
def test_logs_of_very_many_values_are_cut_as_well(value: Any) -> None:
    logs = BuildLogs.masked([{"success": False, "values": [value] * 100_000, "end": "why"}], "{}")
    document = json.dumps(logs.as_document(64 * 1024))
    assert len(document) < 150 * 1024
    assert "bytes left out" in document
    assert "why" in document


def test_a_text_is_not_made_longer_by_cutting_it() -> None:
    builds = [{"success": True, "values": ["x" * 20] * 100}]
    assert BuildLogs.masked(builds, "{}").as_document(1300) == {"image_builds": builds}
