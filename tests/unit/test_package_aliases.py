"""Suggestions for names of packages that other distributions use."""

from __future__ import annotations

import pytest

from domain.package_aliases import find_aliases
from domain.similar_names import NameIndex

KNOWN = [
    "bind-utils",
    "gcc-c++",
    "httpd",
    "libxml2-devel",
    "openssl-devel",
    "procps-ng",
    "python3-devel",
    "vim-enhanced",
]


@pytest.mark.parametrize(
    ("debian", "rpm"),
    [
        ("apache2", "httpd"),
        ("python3-dev", "python3-devel"),
        ("libssl-dev", None),
        ("libxml2-dev", "libxml2-devel"),
        ("openssl-dev", "openssl-devel"),
        ("dnsutils", "bind-utils"),
        ("g++", "gcc-c++"),
        ("procps", "procps-ng"),
        ("vim", "vim-enhanced"),
    ],
)
def test_the_rpm_name_of_a_debian_package_is_the_first_suggestion(debian: str, rpm: str | None) -> None:
    found = NameIndex(KNOWN).closest(debian)
    assert found[:1] == [rpm] if rpm else find_aliases(debian, KNOWN) == []


def test_only_names_that_exist_are_suggested() -> None:
    assert find_aliases("apache2", ["nginx"]) == []
