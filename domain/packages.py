"""Packages of distributions, and the search for them (openapi.yaml, operation getPackages)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from domain.paging import Page


class Package(NamedTuple):
    """A package of a repository; `summary` is one line of text, which may be empty.

    A named tuple, because a page has many of them and a frozen dataclass takes three times as long to create.
    """

    name: str
    summary: str


@dataclass(frozen=True, slots=True)
class PackagesPage:
    """A page of search results; `count` is the number of all packages found."""

    count: int
    packages: tuple[Package, ...]


def rank(names: Sequence[str], text: str) -> list[int]:
    """Return the positions of the names that contain `text` (case-sensitive), in the order in which they are shown.

    The name that equals the text comes first, then the names that begin with it, then the others, each sorted by code
    points. `names` must be sorted by code points, without duplicates. All names contain an empty text.
    """
    matches = [position for position, name in enumerate(names) if text in name]
    # The names that begin with the text are one block, which the text itself leads: only this block has to be moved.
    block = bisect_left(names, text)
    behind = bisect_left(names, True, lo=block, key=lambda name: not name.startswith(text))
    begin = bisect_left(matches, block)
    end = begin + behind - block
    return matches[begin:end] + matches[:begin] + matches[end:]


def search(packages: Iterable[Package], text: str, page: Page) -> PackagesPage:
    """Return a page of the packages whose names contain `text`, ranked.

    Of several packages with the same name the first is used.
    """
    by_name: dict[str, Package] = {}
    for package in packages:
        by_name.setdefault(package.name, package)
    names = sorted(by_name)
    ranked = rank(names, text)
    positions = ranked[page.offset : page.offset + page.limit]
    return PackagesPage(len(ranked), tuple(by_name[names[position]] for position in positions))
