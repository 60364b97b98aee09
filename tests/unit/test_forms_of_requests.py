"""The forms in which a page shows requests, and the memory of parsed documents."""

from __future__ import annotations

import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.composes import RequestForm, RequestSizes, choose_forms
from domain.json_size import parsed_size

WHOLE, WITHOUT_DATA, SUMMARY = RequestForm


def forms(largest: int, *sizes: tuple[int, int, int]) -> list[RequestForm]:
    return choose_forms([RequestSizes(*each) for each in sizes], largest)


def test_a_page_that_fits_is_whole() -> None:
    assert forms(30, (10, 1, 1), (20, 1, 1)) == [WHOLE, WHOLE]
    assert forms(0) == []


def test_the_contents_of_the_largest_files_are_left_out_first() -> None:
    assert forms(29, (10, 1, 1), (20, 1, 1)) == [WHOLE, WITHOUT_DATA]
    assert forms(29, (10, 1, 1), (20, 19, 1)) == [WITHOUT_DATA, WHOLE]
    assert forms(10, (10, 1, 1), (20, 1, 1)) == [WITHOUT_DATA, WITHOUT_DATA]


def test_a_request_that_does_not_shrink_without_file_contents_stays_whole() -> None:
    assert forms(15, (20, 20, 1), (10, 1, 1)) == [SUMMARY, WITHOUT_DATA]
    assert forms(21, (20, 20, 1), (10, 1, 1)) == [WHOLE, WITHOUT_DATA]


def test_further_customizations_are_left_out_only_where_the_contents_of_files_do_not_suffice() -> None:
    assert forms(15, (100, 10, 1), (80, 9, 1)) == [SUMMARY, WITHOUT_DATA]
    assert forms(19, (100, 10, 1), (80, 9, 1)) == [WITHOUT_DATA, WITHOUT_DATA]


def test_a_request_that_cannot_shrink_stays_whole() -> None:
    assert forms(5, (10, 10, 10), (20, 20, 20)) == [WHOLE, WHOLE]


size = st.integers(0, 1000)


@given(st.lists(st.tuples(size, size, size).map(lambda each: sorted(each, reverse=True)), max_size=20), size)
def test_a_page_stays_within_its_limit_unless_its_summaries_exceed_it(sizes: list[list[int]], largest: int) -> None:
    found = [RequestSizes(*each) for each in sizes]
    chosen = choose_forms(found, largest)
    total = sum(each.size_of(form) for each, form in zip(found, chosen, strict=True))
    assert total <= max(largest, sum(each.summary for each in found))
    if SUMMARY in chosen:
        assert sum(each.without_data for each in found) > largest


@pytest.mark.parametrize(
    "document",
    [
        [{}] * 50_000,
        [[]] * 50_000,
        list(range(50_000)),
        [1.5] * 50_000,
        [""] * 50_000,
        [f"text {number}" for number in range(50_000)],
        [{"path": f"/a{number}", "data": ""} for number in range(50_000)],
        {f"key {number}": number * 1000 for number in range(50_000)},
        ["\U0001f600" + "a" * 1000] * 1000,
        {"data": "a" * 1_000_000},
    ],
    ids=lambda document: str(document)[:20],
)
def test_a_parsed_document_takes_no_more_than_was_estimated(document: Any) -> None:
    text = orjson.dumps(document)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        parsed = orjson.loads(text)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert parsed == document
    assert taken <= parsed_size(text) < 60 * len(text) + 1000
