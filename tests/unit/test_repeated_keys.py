"""Keys that a JSON object has twice."""

from __future__ import annotations

import json
import time

import pytest

from domain.errors import InvalidRequestError
from image_builder.http.repeated_keys import refuse_repeated_keys
from tests.support.waiting import PATIENCE


@pytest.mark.parametrize(
    "body",
    [
        '{"labels": {}}',
        '{"labels": {"a": "1", "A": "1", "a ": "1"}}',
        '{"other": {"a": 1, "a": 2}, "labels": {"b": "a", "c": "a"}}',
        '{"a": 1, "a": 2, "labels": {"b": {"a": 1, "a": 2}}}',
        '{"other": {"labels": {"a": 1, "a": 2}}, "labels": []}',
        '{"labels": [["a", 1], ["a", 2]], "big": 1' + "0" * 5000 + "}",
    ],
)
def test_keys_may_be_equal_elsewhere(body: str) -> None:
    refuse_repeated_keys(body.encode(), "labels")


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ('{"labels": {"a": "1", "b": "2", "a": "1"}}', "the key 'a' is given twice"),
        ('{"labels": {"a": "1", "\\u0061": "2"}}', "the key 'a' is given twice"),
        ('{"labels": {"\\n": "1", "\\n": "2"}}', r"the key '\n' is given twice"),
        ('{"labels": {"a": "1"}, "labels": {"b": "2"}}', "labels: given twice"),
        ('{"labels": {"a": "1"}, "l\\u0061bels": {"b": "2"}}', "labels: given twice"),
    ],
)
def test_a_key_that_is_given_twice_is_named(body: str, key: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        refuse_repeated_keys(body.encode(), "labels")
    assert key in refused.value.detail


def test_a_body_of_many_levels_is_refused() -> None:
    body = '{"labels": ' + "[" * 100_000 + "]" * 100_000 + "}"
    with pytest.raises(InvalidRequestError, match="nested too deeply"):
        refuse_repeated_keys(body.encode(), "labels")


def test_a_large_body_is_searched_in_time() -> None:
    body = json.dumps({"labels": {"a": "1"}, "files": [{"data": "x" * 40}] * 50_000}).encode()
    began = time.monotonic()
    refuse_repeated_keys(body, "labels")
    assert time.monotonic() - began < PATIENCE
