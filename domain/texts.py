"""Shortens texts and lists for messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# How many of several errors or names a message lists; all are counted.
MOST_LISTED: Final = 20
# Characters of a name in a list.
_LONGEST_NAME: Final = 200


def shortened(text: str, longest: int) -> str:
    """Return the text, cut to `longest` characters, of which the last is then an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def listed(names: Sequence[str]) -> str:
    """Return the first MOST_LISTED names, each cut to 200 characters, and the total number if it is larger."""
    first = ", ".join(shortened(name, _LONGEST_NAME) for name in names[:MOST_LISTED])
    return first if len(names) <= MOST_LISTED else f"{first} (the first {MOST_LISTED} of {len(names)})"
