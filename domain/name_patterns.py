"""Patterns that find the package names similar to a misspelt one, for searches that know no other similarity."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import Final

from domain.package_aliases import find_aliases

# Names of packages that consist of letters without a meaning in patterns.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{1,79}", re.ASCII)
# Up to this length, one letter is left out of each pattern; of longer names _HOLE letters, at every _STEP-th place, so
# that each pair of neighbouring letters is left out of one pattern.
_SHORT: Final = 5
_HOLE: Final = 4
_STEP: Final = 3


class _AnyName(Container[str]):
    def __contains__(self, name: object) -> bool:
        return True


def write_patterns(name: str) -> list[str]:
    """Return globs that match the names at one edit from `name`, and others.

    Among them are the name in the usual spelling of names, and the names here of other distributions' packages.
    An edit is an insertion, a deletion, a replacement, or a swap of two neighbouring letters. The only special
    character is one `*` in a pattern: osbuild takes a pattern without it for a name, and one that begins and ends with
    it for a part of a name.
    """
    if not _NAME.fullmatch(name):
        return []
    patterns = _write_short(name) if len(name) <= _SHORT else _write_long(name)
    usual = name.lower().replace("_", "-")
    return list(dict.fromkeys([*find_aliases(name, _AnyName()), usual, *patterns]))


def _write_short(name: str) -> Iterator[str]:
    for at in range(len(name)):
        yield f"{name[:at]}*{name[at + 1 :]}"
    for at in range(len(name) - 1):
        yield f"{name[:at]}{name[at + 1]}{name[at]}{name[at + 2 :]}"


def _write_long(name: str) -> Iterator[str]:
    for at in range(0, len(name) - 1, _STEP):
        yield f"{name[:at]}*{name[at + _HOLE :]}"
