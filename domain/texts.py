"""Shortens texts and lists for messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# The number of errors or names that a message lists; the total is given in addition.
MOST_LISTED: Final = 20
# Characters of a name in a list.
_LONGEST_NAME: Final = 200


def shorten(text: str, longest: int) -> str:
    """Return the text, cut to `longest` characters if it is longer; the last one is then an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def list_names(names: Sequence[str]) -> str:
    """Return the first MOST_LISTED names, each cut to 200 characters, and the total number if it is larger."""
    first = ", ".join(shorten(name, _LONGEST_NAME) for name in names[:MOST_LISTED])
    return first if len(names) <= MOST_LISTED else f"{first} (the first {MOST_LISTED} of {len(names)})"
