"""Finds existing package names that are similar to a misspelt one.

An index of letter pairs finds the names that share most pairs with the misspelt one; only those are compared letter by
letter.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Final

from domain.package_aliases import find_aliases
from domain.texts import MOST_LISTED

# The number of names of which the share of common pairs is computed, and of which the edit distance is.
_MOST_SHARING: Final = 200
_MOST_COMPARED: Final = 40
# The number of names whose pairs are counted, once for each pair that they share.
_MOST_COUNTED: Final = 8_000
# Characters of a name; longer ones have no similar names.
_LONGEST: Final = 80
# What names of distributions, image types and the like look like.
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}", re.ASCII)


class NameIndex:
    """An index of the names that may be suggested. For 8,000 names it takes about 0.2 s to create and 1 MB."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._known = frozenset(names)
        self._by_pair: dict[str, array[int]] = {}
        for position, name in enumerate(names):
            for pair in _pairs(name):
                self._by_pair.setdefault(pair, array("I")).append(position)

    def closest(self, name: str, most: int = 3) -> list[str]:
        """Return up to `most` names that are similar to `name`, the most similar first; none for a name that exists.

        Names that other distributions use for a package come before those that are spelt similarly.
        """
        if not 2 <= len(name) <= _LONGEST or name in self._known:
            return []
        normalized, limit = _normalize(name), 1 + len(name) // 4
        candidates = []
        for candidate in self._find_by_pairs(name):
            distance = edit_distance(normalized, _normalize(candidate), limit)
            if distance is not None:
                candidates.append((distance, candidate[0] != name[0], abs(len(candidate) - len(name)), candidate))
        similar = [candidate for *_, candidate in sorted(candidates)[:most]]
        return list(dict.fromkeys([*find_aliases(name, self._known), *similar]))[:most]

    def _find_by_pairs(self, name: str) -> list[str]:
        """Return the names that share the largest part of their letter pairs with `name`."""
        pairs = _pairs(name)
        shared: Counter[int] = Counter()
        counted = 0
        for positions in sorted((self._by_pair[pair] for pair in pairs if pair in self._by_pair), key=len):
            # Pairs that many names have, as those of "-devel", tell little and take most of the time.
            if counted and counted + len(positions) > _MOST_COUNTED:
                break
            shared.update(positions)
            counted += len(positions)
        scored = [
            (count / (len(pairs) + len(self._names[position])), self._names[position])
            for position, count in shared.most_common(_MOST_SHARING)
        ]
        return [candidate for _, candidate in sorted(scored, reverse=True)[:_MOST_COMPARED]]


def sort_by_similarity(name: str, names: Sequence[str]) -> list[str]:
    """The names, the closest to `name` first; in their own order where it is too long to be compared."""
    if len(name) > _LONGEST:
        return list(names)
    wanted = _normalize(name)
    ranks = {each: _distance(wanted, _normalize(each)) for each in names}
    return sorted(names, key=ranks.__getitem__)


def describe_choices(value: str, allowed: Sequence[str]) -> str:
    """What is allowed in place of the value, the closest first, and the value: `one of a, b, not "c"`.

    A value that does not look like such a name is left out: it may be a secret in the wrong place.
    """
    closest = ", ".join(sort_by_similarity(value, allowed)[:MOST_LISTED])
    more = f" (and {len(allowed) - MOST_LISTED} more)" if len(allowed) > MOST_LISTED else ""
    return f"one of {closest}{more}" + (f', not "{value}"' if _NAME.fullmatch(value) else "")


def _distance(wanted: str, candidate: str) -> int:
    longest = max(len(wanted), len(candidate))
    if not wanted or len(candidate) > _LONGEST:
        return longest
    distance = edit_distance(wanted, candidate, longest)
    return longest if distance is None else distance


def _pairs(name: str) -> set[str]:
    """Return the pairs of neighbouring letters, and the pairs with one letter between them.

    The latter are still equal if a letter is added or missing.
    """
    text = f" {_normalize(name)} "
    near = (text[start : start + 2] for start in range(len(text) - 1))
    far = (text[start] + text[start + 2] for start in range(len(text) - 2))
    return {*near, *far}


def _normalize(name: str) -> str:
    return name.lower().replace("_", "-")


def edit_distance(first: str, second: str, limit: int) -> int | None:
    """Return the number of edits that turn one text into the other; None if it is larger than `limit`.

    An edit is an insertion, a deletion, a replacement, or a swap of two neighbouring letters, none of which is edited
    again (the "optimal string alignment" distance).
    """
    if abs(len(first) - len(second)) > limit:
        return None
    if not first or not second:
        return max(len(first), len(second))
    # Each integer has one bit for each letter of `first`, so a column of the table of distances takes a few operations
    # (H. Hyyrö, "A bit-vector algorithm for computing Levenshtein and Damerau edit distances", 2003).
    positions: dict[str, int] = {}
    for bit, letter in enumerate(first):
        positions[letter] = positions.get(letter, 0) | 1 << bit
    every, last = (1 << len(first)) - 1, 1 << (len(first) - 1)
    increases, decreases, diagonal, matched_before = every, 0, 0, 0
    distance = len(first)
    for letter in second:
        matched = positions.get(letter, 0)
        swapped = ((~diagonal & matched) << 1) & matched_before
        diagonal = ((((matched & increases) + increases) ^ increases) | matched | decreases | swapped) & every
        right_increases, right_decreases = decreases | (every & ~(diagonal | increases)), diagonal & increases
        distance += bool(right_increases & last) - bool(right_decreases & last)
        right_increases = (right_increases << 1 | 1) & every
        increases = (right_decreases << 1 | ~(diagonal | right_increases)) & every
        decreases = right_increases & diagonal
        matched_before = matched
    return distance if distance <= limit else None
