"""Which of two versions of a package is the newer one, as RPM decides."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from itertools import zip_longest
from typing import Final, TypeVar

_SEGMENT: Final = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")
_SIGNS: Final = {"~": 0, "": 1, "^": 2}
_Ordered = TypeVar("_Ordered", int, str)


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """Epoch, version and release of a package; compares like rpmvercmp."""

    epoch: int
    version: str
    release: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._compare(other) == 0

    def __lt__(self, other: Version) -> bool:
        return self._compare(other) < 0

    def __hash__(self) -> int:
        return hash(self.epoch)

    def _compare(self, other: Version) -> int:
        return (
            _sign(self.epoch, other.epoch)
            or compare(self.version, other.version)
            or compare(self.release, other.release)
        )


def compare(one: str, other: str) -> int:
    """Below 0, 0 or above 0: whether `one` is older than `other`, the same, or newer."""
    for mine, theirs in zip_longest(_SEGMENT.findall(one), _SEGMENT.findall(other), fillvalue=""):
        by_segment = _by_segment(mine, theirs)
        if by_segment:
            return by_segment
    return 0


def _by_segment(mine: str, theirs: str) -> int:
    if _rank(mine) != _rank(theirs):
        return _sign(_rank(mine), _rank(theirs))
    if mine.isdigit():
        mine, theirs = mine.lstrip("0"), theirs.lstrip("0")
        return _sign(len(mine), len(theirs)) or _sign(mine, theirs)
    return _sign(mine, theirs)


def _rank(segment: str) -> int:
    """`~`, the end, `^`, words, numbers: each older than the next."""
    if segment in _SIGNS:
        return _SIGNS[segment]
    return 4 if segment.isdigit() else 3


def _sign(mine: _Ordered, theirs: _Ordered) -> int:
    return (mine > theirs) - (mine < theirs)
