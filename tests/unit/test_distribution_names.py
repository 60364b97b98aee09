"""Spellings of distribution names that osbuild knows."""

from __future__ import annotations

import pytest

from domain.distribution_names import normalize_distribution_name

KNOWN = {"rhel-84", "rhel-92", "rhel-9.6", "rhel-9.8", "rhel-8.10", "rhel-9", "rhel-10.1", "centos-9", "centos-10"}


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("rhel-8.4", "rhel-84"),
        ("rhel-9.2", "rhel-92"),
        ("rhel-96", "rhel-9.6"),
        ("rhel-98", "rhel-9.8"),
        ("rhel-810", "rhel-8.10"),
        ("centos-stream-9", "centos-9"),
        ("centos-stream-10", "centos-10"),
    ],
)
def test_a_spelling_becomes_the_name_of_the_folder(spelling: str, name: str) -> None:
    assert normalize_distribution_name(spelling, KNOWN) == name


@pytest.mark.parametrize(
    "name", [*sorted(KNOWN), "rhel-9.99", "rhel-77", "centos-stream-8", "fedora-42", "", "rhel-٩.٦"]
)
def test_names_that_are_known_and_spellings_of_unknown_ones_stay(name: str) -> None:
    assert normalize_distribution_name(name, KNOWN) == name
