"""Estimates the memory of a parsed JSON document."""

from __future__ import annotations

from typing import Final

# Bytes of an empty object or array in CPython.
_EMPTY: Final = 64
# Bytes of the table of an object with up to five entries.
_ENTRIES: Final = 140
# Bytes of a value and its slot in an object or array.
_VALUE: Final = 64
# Bytes that a key takes besides its value.
_KEY: Final = 64
# Factor for texts with characters beyond ASCII: CPython may store the text with four bytes per character.
_WIDE: Final = 4


def parsed_size(document: bytes) -> int:
    """An upper estimate, in bytes, of the dicts, lists and strings of a UTF-8 document.

    It counts punctuation in the document, also within texts.
    """
    texts = len(document) * (1 if document.isascii() else _WIDE)
    return (
        texts
        + (document.count(b"{") + document.count(b"[")) * _EMPTY
        + document.count(b'{"') * _ENTRIES
        + document.count(b",") * _VALUE
        + document.count(b":") * _KEY
    )
