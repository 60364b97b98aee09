"""The patterns that find names similar to a misspelt one."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from domain.name_patterns import write_patterns

NAMES = ["git", "bash", "nginx", "kernel", "vim-enhanced", "python3-devel", "gcc-c++", "NetworkManager"]


def misspellings(name: str) -> set[str]:
    """All texts at one insertion, deletion, replacement or swap from the name; the first letter stays one of names."""
    parts = [(name[:at], name[at:]) for at in range(len(name) + 1)]
    return {
        *(before + after[1:] for before, after in parts if after),
        *(before + "q" + after for before, after in parts),
        *(before + "q" + after[1:] for before, after in parts if after),
        *(before + after[1] + after[0] + after[2:] for before, after in parts if len(after) > 1),
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_misspelling_by_one_edit_is_found(name: str) -> None:
    missed = [
        wrong
        for wrong in misspellings(name)
        if not any(fnmatchcase(name, pattern) for pattern in write_patterns(wrong))
    ]
    assert missed == []


@pytest.mark.parametrize("name", NAMES)
def test_each_pattern_has_one_asterisk_at_most_and_names_only_a_part_of_the_packages(name: str) -> None:
    for pattern in write_patterns(name):
        assert pattern.count("*") <= 1
        assert not set("?[]!") & set(pattern)
        assert len(pattern.replace("*", "")) >= 2


def test_names_of_other_distributions_are_searched_by_the_names_here() -> None:
    assert "httpd" in write_patterns("apache2")
    assert "python3-devel" in write_patterns("python3-dev")


@pytest.mark.parametrize(
    ("wrong", "right"), [("HTTPD", "httpd"), ("java_21_openjdk", "java-21-openjdk"), ("OpenSSL-devel", "openssl-devel")]
)
def test_a_name_in_another_case_or_with_underscores_is_found(wrong: str, right: str) -> None:
    assert right in write_patterns(wrong)


@pytest.mark.parametrize("name", ["", "a", "*", "a*b", "a?b", "[ab]c", "@core", "-rf", "a b", "é" * 3, "a" * 81])
def test_texts_that_are_no_names_have_no_patterns(name: str) -> None:
    assert write_patterns(name) == []
