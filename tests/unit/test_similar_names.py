"""Suggestions for misspelt package names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.similar_names import NameIndex, edit_distance

NAMES = sorted(
    [
        "bash",
        "httpd",
        "httpd-tools",
        "kernel",
        "nginx",
        "openssh-server",
        "python3-devel",
        "python3-dns",
        "vim-enhanced",
    ]
)


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("htppd", "httpd"),
        ("ngnix", "nginx"),
        ("nignx", "nginx"),
        ("nginxx", "nginx"),
        ("ngin", "nginx"),
        ("kernal", "kernel"),
        ("Kernel", "kernel"),
        ("openssh_server", "openssh-server"),
        ("opensshserver", "openssh-server"),
        ("pyhton3-devel", "python3-devel"),
    ],
)
def test_the_name_that_was_meant_comes_first(misspelt: str, meant: str) -> None:
    assert NameIndex(NAMES).closest(misspelt)[:1] == [meant]


@pytest.mark.parametrize("name", ["bash", "zzzzzzzz", "x", "", "a" * 1000, "nginx\nbash"])
def test_nothing_is_suggested_for_names_that_exist_or_are_like_no_other(name: str) -> None:
    assert NameIndex(NAMES).closest(name) == []


def test_no_more_names_are_suggested_than_asked_for() -> None:
    index = NameIndex([f"package{number}" for number in range(10)])
    assert len(index.closest("package", 2)) == 2


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_a_distance_is_symmetric_and_zero_for_equal_texts_only(first: str, second: str) -> None:
    distance = edit_distance(first, second, 6)
    assert distance is not None
    assert distance == edit_distance(second, first, 6)
    assert (distance == 0) == (first == second)
    assert edit_distance(first, second, distance) == distance
    assert distance == 0 or edit_distance(first, second, distance - 1) is None
