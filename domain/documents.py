"""JSON documents that others wrote, and how much of one is kept or shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# Of what others say of an error, or of where an image is: characters of all texts, and VALUE for each value. Real ones
# have some kilobytes.
LARGEST_DETAILS: Final = 64 * 1024
VALUE: Final = 32
# Levels of lists and objects; what writes JSON ends at 254.
DEEPEST: Final = 64


def is_within(document: Any, largest: int, deepest: int = DEEPEST) -> bool:
    """Whether a JSON value is no larger, and nested no deeper. Looks at no more of it than that."""
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
