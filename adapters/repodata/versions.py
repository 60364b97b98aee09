"""Compares versions of packages by the rules of RPM (rpmvercmp)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from itertools import zip_longest
from typing import Final, TypeVar

# A version is compared segment by segment: digits, letters, and the signs `~` and `^`.
_SEGMENT: Final = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")
_SIGN_RANKS: Final = {"~": 0, "": 1, "^": 2}
_Ordered = TypeVar("_Ordered", int, str)


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """Epoch, version and release of a package, ordered like rpmvercmp."""

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
            _compare_values(self.epoch, other.epoch)
            or compare(self.version, other.version)
            or compare(self.release, other.release)
        )


def compare(first: str, second: str) -> int:
    """Return a negative number if `first` is older than `second`, 0 if they are equal, a positive number otherwise."""
    for one, other in zip_longest(_SEGMENT.findall(first), _SEGMENT.findall(second), fillvalue=""):
        result = _compare_segments(one, other)
        if result:
            return result
    return 0


def _compare_segments(one: str, other: str) -> int:
    if _rank(one) != _rank(other):
        return _compare_values(_rank(one), _rank(other))
    if one.isdigit():
        one, other = one.lstrip("0"), other.lstrip("0")
        return _compare_values(len(one), len(other)) or _compare_values(one, other)
    return _compare_values(one, other)


def _rank(segment: str) -> int:
    """Return the order of kinds of segments, from old to new: `~`, the end of the version, `^`, letters, digits."""
    if segment in _SIGN_RANKS:
        return _SIGN_RANKS[segment]
    return 4 if segment.isdigit() else 3


def _compare_values(one: _Ordered, other: _Ordered) -> int:
    return (one > other) - (one < other)
