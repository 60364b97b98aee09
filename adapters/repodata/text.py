"""Makes texts of untrusted servers safe for terminals."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# The number of characters of a printed text.
_MAX_LENGTH: Final = 1000
# Unicode categories: control and format characters, surrogates, line and paragraph separators.
_ESCAPED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Characters that summaries do not need. Of the format characters only those that override the writing direction are
# listed, because others occur in ordinary text.
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def printable(text: str) -> str:
    """Return the text on one line, at most 1,000 characters long, with control and format characters escaped."""
    truncated = text if len(text) <= _MAX_LENGTH else text[:_MAX_LENGTH] + " ..."
    return "".join(
        _escape(character) if unicodedata.category(character) in _ESCAPED_CATEGORIES else character
        for character in truncated
    )


def has_controls(text: str) -> bool:
    """Return whether the text has control characters, line breaks, or overrides of the writing direction."""
    return _CONTROLS.search(text) is not None


def without_controls(text: str) -> str:
    """Return the text with spaces in place of the characters that `has_controls` looks for."""
    return _CONTROLS.sub(" ", text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
