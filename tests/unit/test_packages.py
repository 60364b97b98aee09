"""The results of a package search and their order."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.packages import Package, PackagesPage, rank, search
from domain.paging import Page

ALL = Page(limit=1000, offset=0)
# Few letters, so that texts occur in names, and one that takes two bytes, one that is a line's end, one that is a glob.
NAMES = st.text("abA é\n*", max_size=5)


def found(names, text, page=ALL):
    return [package.name for package in search([Package(name, "") for name in names], text, page).packages]


@pytest.mark.parametrize(
    ("names", "text", "expected"),
    [
        (["openssh", "ssh", "ssh-tools"], "ssh", ["ssh", "ssh-tools", "openssh"]),
        (["ssh-b", "a-ssh", "ssh-a", "b-ssh"], "ssh", ["ssh-a", "ssh-b", "a-ssh", "b-ssh"]),
        (["zsh", "bash", "fish"], "sh", ["bash", "fish", "zsh"]),
        (["Xorg", "xorg-x11"], "xorg", ["xorg-x11"]),
        (["python3", "python3.11", "python-3"], "3.1", ["python3.11"]),
        (["a", "aa", "aaa"], "aa", ["aa", "aaa"]),
        (["b", "a", ""], "", ["", "a", "b"]),
        (["B", "a"], "", ["B", "a"]),
        (["vim"], "emacs", []),
        (["vim*", "vim"], "*", ["vim*"]),
        ([], "a", []),
        ([], "", []),
    ],
)
def test_the_text_itself_comes_first_then_what_begins_with_it_then_the_rest(names, text, expected):
    assert found(names, text) == expected


def test_a_name_is_found_once_with_its_first_summary():
    packages = [Package("vim", "first"), Package("emacs", ""), Package("vim", "second")]
    assert search(packages, "vim", ALL) == PackagesPage(1, (Package("vim", "first"),))


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (Page(2, 0), ["b", "ba"]),
        (Page(2, 2), ["bb", "ab"]),
        (Page(2, 4), ["cb"]),
        (Page(2, 5), []),
        (Page(2, 10**30), []),
        (Page(100, 1), ["ba", "bb", "ab", "cb"]),
    ],
)
def test_a_page_is_cut_out_of_the_ranked_list_and_counts_all_of_it(page, expected):
    packages = [Package(name, "") for name in ("cb", "bb", "ab", "ba", "b", "x")]
    answer = search(packages, "b", page)
    assert ([each.name for each in answer.packages], answer.count) == (expected, 5)


@given(st.lists(NAMES), NAMES)
@example(["a", "ab", "b", "ba"], "a")
def test_a_search_is_what_sorting_by_the_rules_gives(names, text):
    matching = (name for name in set(names) if text in name)
    expected = sorted(matching, key=lambda name: (name != text, not name.startswith(text), name))
    assert found(names, text) == expected


def test_positions_are_those_in_the_names_given():
    assert rank(["ab", "b", "ba", "c"], "b") == [1, 2, 0]
