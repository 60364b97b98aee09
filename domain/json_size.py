"""How much memory a JSON document takes once it is parsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Bytes that CPython takes for an empty object or array, for the entries of an object (up to five), and for a value and
# its place in either, or a key besides its value.
_EMPTY: Final = 64
_ENTRIES: Final = 140
_SEPARATED: Final = 64
# A character beyond ASCII makes its whole text up to four times as large as in UTF-8.
_WIDE: Final = 4


@dataclass(frozen=True, slots=True)
class JsonCounts:
    """What the size of a parsed document depends on: bytes of its UTF-8 text, and how often signs stand in it.

    `containers` are `{` and `[`, `filled` are `{"`, `separators` are `,` and `:`; those within texts count, too.
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
    """An upper estimate, in bytes, of a UTF-8 document as dicts, lists and strings; signs within texts count, too."""
    return json_counts(document).parsed_size


def json_counts(document: bytes) -> JsonCounts:
    """The counts of a UTF-8 document."""
    return JsonCounts(
        len(document),
        document.isascii(),
        document.count(b"{") + document.count(b"["),
        document.count(b'{"'),
        document.count(b",") + document.count(b":"),
    )
