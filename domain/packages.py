"""Packages that can be put into an image, and which of them a search finds (spec: GET /packages)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.paging import Page


@dataclass(frozen=True, slots=True)
class Package:
    """A package of a repository; `summary` is a line of prose, and may be empty."""

    name: str
    summary: str


@dataclass(frozen=True, slots=True)
class PackagesPage:
    """`count` counts all that match, not the page's."""

    count: int
    packages: tuple[Package, ...]


def ranked(names: Sequence[str], text: str) -> list[int]:
    """The positions of the names that hold `text`, as it is written, in the order they are shown.

    First the text itself, then what begins with it, then the rest, each alphabetical (by code points). `names` must
    be sorted so, and hold each name once. An empty text is in all of them.
    """
    found = [position for position, name in enumerate(names) if text in name]
    # What begins with the text stands together, the text itself at its head: only the block has to be moved.
    block = bisect_left(names, text)
    behind = bisect_left(names, True, lo=block, key=lambda name: not name.startswith(text))
    begin = bisect_left(found, block)
    end = begin + behind - block
    return found[begin:end] + found[:begin] + found[end:]


def search(packages: Iterable[Package], text: str, page: Page) -> PackagesPage:
    """A page of the packages that `text` finds, ranked; of several of one name the first is shown."""
    by_name: dict[str, Package] = {}
    for package in packages:
        by_name.setdefault(package.name, package)
    names = sorted(by_name)
    found = ranked(names, text)
    shown = found[page.offset : page.offset + page.limit]
    return PackagesPage(len(found), tuple(by_name[names[position]] for position in shown))
