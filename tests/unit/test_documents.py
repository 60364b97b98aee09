"""Limits of the size and the depth of JSON documents of other programs."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from domain.documents import DEEPEST, LARGEST_DETAILS, VALUE_SIZE, is_within
from domain.status import TOO_LARGE, BuildError, as_document, find_innermost_error, from_document, limit_error
from domain.submission import Refused
from tests.support.waiting import SOON

ENDLESS: Any = []
ENDLESS.append(ENDLESS)


def nested(levels: int, kind: str = "[]") -> Any:
    document: Any = "x"
    for _ in range(levels):
        document = [document] if kind == "[]" else {"a": document}
    return document


def wrapping(levels: int, error: dict[str, Any]) -> BuildError:
    for _ in range(levels):
        error = {"id": 5, "reason": "wrapper", "details": [error]}
    return BuildError(**error)


@pytest.mark.parametrize("kind", ["[]", "{}"])
def test_a_too_deeply_nested_value_is_not_within(kind: str) -> None:
    assert is_within(nested(DEEPEST, kind), 10_000)
    assert not is_within(nested(DEEPEST + 1, kind), 10_000)


@pytest.mark.parametrize("document", [None, True, 5, 1.5, "", [], {}, "x" * 968, {"a": "x" * 935}, [None] * 30])
def test_a_small_value_is_within(document: Any) -> None:
    assert is_within(document, 968 + VALUE_SIZE)


@pytest.mark.parametrize("document", ["x" * 969, {"a": "x" * 936}, {"x" * 969: None}, [None] * 31, [[]] * 31])
def test_a_large_value_is_not_within(document: Any) -> None:
    assert not is_within(document, 968 + VALUE_SIZE)


@pytest.mark.parametrize("document", [ENDLESS, [None] * 10_000_000, nested(100_000)], ids=["endless", "wide", "deep"])
def test_no_more_of_a_value_is_read_than_the_limit(document: Any) -> None:
    began = time.thread_time()
    for _ in range(100):
        assert not is_within(document, LARGEST_DETAILS)
    assert time.thread_time() - began < SOON


def test_an_error_that_is_small_stays_as_it_is() -> None:
    error = wrapping(10, {"id": 21, "reason": "no space left", "details": {"path": "/"}})
    assert limit_error(error) == error


@pytest.mark.parametrize(
    "details", [nested(300), ["x" * LARGEST_DETAILS], [None] * 1_000_000], ids=["deep", "long", "wide"]
)
def test_a_too_large_error_is_replaced_by_its_innermost_error_without_details(details: Any) -> None:
    found = limit_error(wrapping(10, {"id": 21, "reason": "no space left", "details": details}))
    assert found == BuildError(21, "no space left", TOO_LARGE)
    assert find_innermost_error(found) == found


def test_long_texts_are_cut() -> None:
    found = limit_error(BuildError(21, "r" * 30_000_000, "d" * 30_000_000))
    assert (len(found.reason), len(found.details)) == (LARGEST_DETAILS, LARGEST_DETAILS)


def test_a_status_that_was_stored_without_a_limit_is_bounded() -> None:
    kept = {"status": "failure", "error": {"id": 21, "reason": "r", "details": nested(250)}}
    read = from_document(kept)
    assert read.error == BuildError(21, "r", TOO_LARGE)
    assert from_document(as_document(read)) == read


@pytest.mark.parametrize("error_id", ["24", "29", "30", "1000"])
@pytest.mark.parametrize(
    "details", [None, "d" * 3_000_000, nested(300), [None] * 1_000_000], ids=["", "long", "deep", "wide"]
)
def test_a_refusal_has_a_text_of_bounded_length(error_id: str, details: Any) -> None:
    for reason in ("the reason", "r" * 3_000_000):
        detail = Refused(400, error_id, reason, details).error().detail
        assert reason[:10] in detail
        assert len(detail) < 11_000
        assert json.dumps(detail)
