"""The preference `wait` in a Prefer header (RFC 7240)."""

from __future__ import annotations

import time

import pytest

from domain.errors import InvalidRequestError
from image_builder.http.long_poll import parse_wait
from tests.support.waiting import SOON


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("wait=7", 7),
        ("respond-async, wait=7", 7),
        ('note="a, b", wait=7', 7),
        ('note="a, wait=9", wait=7', 7),
        ('note="a,wait=9,b"', None),
        ('note="a \\", wait=9, b"', None),
        ('note="unfinished, wait=9', None),
        (", ,wait=7;note=x,", 7),
        ("waiting=7", None),
    ],
)
def test_the_first_wait_counts_and_quoted_text_does_not(header: str | None, seconds: int | None) -> None:
    assert parse_wait(header) == seconds


@pytest.mark.parametrize("value", ["61", "9999999", "-1", "1.5", "", "٣"])
def test_a_value_that_is_no_possible_wait_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequestError):
        parse_wait(f"wait={value}")


@pytest.mark.parametrize("part", ['"', ",", '"\\', "wait", "a="])
def test_a_long_header_is_read_in_linear_time(part: str) -> None:
    began = time.process_time()
    parse_wait(part * 100_000)
    assert time.process_time() - began < SOON
