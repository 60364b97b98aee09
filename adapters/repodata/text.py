"""Text of servers that are not trusted, made harmless for terminals."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_LONGEST: Final = 1000
# Control and format characters, surrogates, separators of lines and paragraphs.
_HARMFUL: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# What a summary may do without; of the format characters only those that turn the direction of what follows.
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def printable(text: str) -> str:
    """The text on one line, cut to 1,000 characters, with escapes for what could steer a terminal."""
    shown = text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
    return "".join(
        _escaped(character) if unicodedata.category(character) in _HARMFUL else character for character in shown
    )


def has_controls(text: str) -> bool:
    """Whether there are control characters, line ends, or characters that override the direction of writing."""
    return _CONTROLS.search(text) is not None


def without_controls(text: str) -> str:
    """The text with a space in place of what `has_controls` looks for."""
    return _CONTROLS.sub(" ", text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
