"""How much memory a JSON document takes once it is parsed."""

from __future__ import annotations

from typing import Final

# Bytes that CPython takes for an empty object or array, for the entries of an object (up to five), and for a value and
# its place in either.
_EMPTY: Final = 64
_ENTRIES: Final = 140
_VALUE: Final = 64
# Bytes that a key takes besides its value.
_KEY: Final = 64
# A character beyond ASCII makes its whole text up to four times as large as in UTF-8.
_WIDE: Final = 4


def parsed_size(document: bytes) -> int:
    """An upper estimate, in bytes, of a UTF-8 document as dicts, lists and strings; signs within texts count, too."""
    texts = len(document) * (1 if document.isascii() else _WIDE)
    return (
        texts
        + (document.count(b"{") + document.count(b"[")) * _EMPTY
        + document.count(b'{"') * _ENTRIES
        + document.count(b",") * _VALUE
        + document.count(b":") * _KEY
    )
