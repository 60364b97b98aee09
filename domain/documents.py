"""Limits for JSON documents of other programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# Limit of the composer's details of an error or options of an upload, in the size that `is_within` measures. Real ones
# have some kilobytes.
LARGEST_DETAILS: Final = 64 * 1024
# What each value adds to that size, besides the characters of its texts.
VALUE: Final = 32
# Levels of lists and objects; orjson cannot serialize more than 254.
DEEPEST: Final = 64


def is_within(document: Any, largest: int, deepest: int = DEEPEST) -> bool:
    """Return whether a JSON value has at most the size `largest` and `deepest` levels; stops reading at the limit."""
    waiting: list[tuple[Any, int]] = [(document, 0)]
    left = largest
    while waiting:
        value, depth = waiting.pop()
        left -= VALUE
        if isinstance(value, str):
            left -= len(value)
        elif isinstance(value, Mapping | list | tuple):
            if depth == deepest or len(value) * VALUE > left:
                return False
            values = value.values() if isinstance(value, Mapping) else value
            left -= sum(map(len, value)) if isinstance(value, Mapping) else 0
            waiting.extend((each, depth + 1) for each in values)
        if left < 0:
            return False
    return True
