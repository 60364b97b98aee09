"""Shortened texts and lists of names."""

import pytest

from domain.texts import MOST_LISTED, list_names, shorten


@pytest.mark.parametrize(("text", "shown"), [("", ""), ("abc", "abc"), ("abcd", "ab…"), ("a" * 10_000_000, "aa…")])
def test_a_text_that_is_too_long_is_cut(text, shown):
    assert shorten(text, 3) == shown


def test_a_few_names_are_all_listed():
    assert list_names(["a", "b"]) == "a, b"
    assert list_names(["a"] * MOST_LISTED) == ", ".join(["a"] * MOST_LISTED)


def test_of_many_names_the_first_are_listed_and_all_are_counted():
    assert list_names(["a"] * 8_000) == ", ".join(["a"] * MOST_LISTED) + " (the first 20 of 8000)"


def test_a_long_name_is_cut():
    assert len(list_names(["a" * 4_000_000] * 3)) == 3 * 200 + 4
