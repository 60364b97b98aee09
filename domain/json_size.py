"""Estimates the memory of a parsed JSON document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Bytes of an empty object or array in CPython.
_EMPTY: Final = 64
# Bytes of the hash table of an object with up to five entries.
_ENTRIES: Final = 140
# Bytes of a value and its slot in an object or array, and of a key besides its value.
_SEPARATED: Final = 64
# Factor for texts with characters beyond ASCII: CPython may store the text with four bytes per character.
_WIDE: Final = 4


@dataclass(frozen=True, slots=True)
class JsonCounts:
    """Counts from which the memory of a parsed document is estimated.

    `size` is the number of bytes of its UTF-8 text. `containers` counts `{` and `[`, `filled` counts `{"`, `separators`
    counts `,` and `:`, all also within texts.
    """

    size: int
    is_ascii: bool
    containers: int
    filled: int
    separators: int

    @property
    def parsed_size(self) -> int:
        """An upper estimate, in bytes, of the document as dicts, lists and strings."""
        return (
            self.size * (1 if self.is_ascii else _WIDE)
            + self.containers * _EMPTY
            + self.filled * _ENTRIES
            + self.separators * _SEPARATED
        )


def parsed_size(document: bytes) -> int:
    """Return an upper estimate, in bytes, of the dicts, lists and strings of a UTF-8 document.

    It counts punctuation in the document, also within texts.
    """
    return json_counts(document).parsed_size


def json_counts(document: bytes) -> JsonCounts:
    """Count the characters of a UTF-8 document that determine its parsed size."""
    return JsonCounts(
        len(document),
        document.isascii(),
        document.count(b"{") + document.count(b"["),
        document.count(b'{"'),
        document.count(b",") + document.count(b":"),
    )
