"""Suggestions for names of packages that other distributions use."""

from __future__ import annotations

import pytest

from domain.package_aliases import find_aliases
from domain.similar_names import NameIndex

KNOWN = [
    "bind-utils",
    "gcc-c++",
    "httpd",
    "java-1.8.0-openjdk-headless",
    "java-17-openjdk-devel",
    "libstdc++",
    "libxml2-devel",
    "openssl-devel",
    "perl-JSON",
    "php-xml",
    "procps-ng",
    "python3-devel",
    "vim-enhanced",
]


@pytest.mark.parametrize(
    ("debian", "rpm"),
    [
        ("apache2", "httpd"),
        ("python3-dev", "python3-devel"),
        ("libssl-dev", "openssl-devel"),
        ("libxml2-dev:amd64", "libxml2-devel"),
        ("libjson-perl", "perl-JSON"),
        ("libstdc++6", "libstdc++"),
        ("openjdk-8-jre-headless", "java-1.8.0-openjdk-headless"),
        ("openjdk-17-jdk", "java-17-openjdk-devel"),
        ("php8.2-xml", "php-xml"),
        ("python-dev", "python3-devel"),
        ("httpd.x86_64", "httpd"),
        ("libxml2-dev", "libxml2-devel"),
        ("openssl-dev", "openssl-devel"),
        ("dnsutils", "bind-utils"),
        ("g++", "gcc-c++"),
        ("procps", "procps-ng"),
        ("vim", "vim-enhanced"),
    ],
)
def test_the_rpm_name_of_a_debian_package_is_the_first_suggestion(debian: str, rpm: str) -> None:
    assert NameIndex(KNOWN).closest(debian)[:1] == [rpm]


def test_only_names_that_exist_are_suggested() -> None:
    assert find_aliases("apache2", ["nginx"]) == []
