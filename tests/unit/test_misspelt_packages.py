"""Suggestions for 200 typical misspellings of package names, among 8,000 names."""

from __future__ import annotations

from domain.similar_names import NameIndex
from tests.support.misspelt_packages import list_existing_names, list_misspellings

EXISTING = list_existing_names()
MISSPELLINGS = list_misspellings()


def test_the_right_name_is_among_the_first_three_suggestions_for_nine_of_ten_misspellings() -> None:
    index = NameIndex(EXISTING)
    wrong = {misspelt: found for misspelt, meant in MISSPELLINGS if meant not in (found := index.closest(misspelt))}
    assert len(wrong) <= len(MISSPELLINGS) // 10, wrong


def test_the_list_has_200_misspellings_of_names_that_exist() -> None:
    existing = set(EXISTING)
    assert len(EXISTING) == len(existing) == 8_000
    assert len(dict(MISSPELLINGS)) == len(MISSPELLINGS) == 200
    assert [misspelt for misspelt, meant in MISSPELLINGS if misspelt in existing or meant not in existing] == []
