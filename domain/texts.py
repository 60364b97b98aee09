"""Texts for people, of a length that a person reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# How many of several complaints are listed; all are counted.
MOST_LISTED: Final = 20
_LONGEST_NAME: Final = 200


def shortened(text: str, longest: int) -> str:
    """`text`, cut to `longest` characters; the last one then is an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def listed(names: Sequence[str]) -> str:
    """The first MOST_LISTED names, each cut to 200 characters, and how many there are where that is more."""
    first = ", ".join(shortened(name, _LONGEST_NAME) for name in names[:MOST_LISTED])
    return first if len(names) <= MOST_LISTED else f"{first} (the first {MOST_LISTED} of {len(names)})"
