"""Limits for JSON documents of other programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# The largest details of a composer's error, and options of an upload, in the size that `is_within` measures. Real ones
# have a few kilobytes.
LARGEST_DETAILS: Final = 64 * 1024
# The size that each value adds, in addition to the characters of its texts.
VALUE_SIZE: Final = 32
# Levels of lists and objects; orjson cannot serialize more than 254.
DEEPEST: Final = 64


def is_within(document: Any, largest: int, deepest: int = DEEPEST) -> bool:
    """Return whether a JSON value has at most the size `largest` and `deepest` levels; stops reading at the limit."""
    pending: list[tuple[Any, int]] = [(document, 0)]
    remaining = largest
    while pending:
        value, depth = pending.pop()
        remaining -= VALUE_SIZE
        if isinstance(value, str):
            remaining -= len(value)
        elif isinstance(value, Mapping | list | tuple):
            if depth == deepest or len(value) * VALUE_SIZE > remaining:
                return False
            values = value.values() if isinstance(value, Mapping) else value
            remaining -= sum(map(len, value)) if isinstance(value, Mapping) else 0
            pending.extend((each, depth + 1) for each in values)
        if remaining < 0:
            return False
    return True
