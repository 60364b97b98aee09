"""How many values a request's body holds, counted before it is parsed.

A value may be written in two bytes; it takes a hundred when it is parsed, and more while it is worked on. Counting
keeps a body of 4 MiB from growing to a gigabyte: one of more than MOST_VALUES is refused and never parsed.

Both functions take time linear in the body's length, a fraction of a second for 4 MiB, and hold little more than twice
that length besides the body. How deeply values are nested is bounded by the parsers themselves.
"""

from __future__ import annotations

import re
from typing import Final

from domain.osbuild.toml import STRINGS_AND_COMMENTS

# Room for 10,000 packages (in TOML each is a table of name and version), or for 4,000 files with all properties.
MOST_VALUES: Final = 100_000

_JSON_STRING: Final = re.compile(rb'"[^"]*"?')
_JSON_BLANKS: Final = b" \t\r\n"

_TOML_TEXT: Final = re.compile(STRINGS_AND_COMMENTS.encode(), re.VERBOSE | re.DOTALL)
_TOML_BLANKS: Final = b" \t\r"
_COMMENT: Final = ord("#")


def count_values(raw: bytes, most: int = MOST_VALUES) -> int:
    """The number of values in JSON text: objects, arrays, strings, numbers, literals, and the keys of objects.

    The number is exact for JSON. For other text it is not smaller than what a parser makes of it before it finds the
    fault. When it exceeds `most`, the result is some number above `most`.
    """
    text = raw
    if b"\\" in raw:
        # What is left of an escape sequence holds no quotation mark; the pairs of backslashes go first.
        text = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    strings = text.count(b'"') // 2
    if strings > most:
        return strings
    text = _JSON_STRING.sub(b"s", text)
    text = text.translate(None, _JSON_BLANKS)
    empty = text.count(b"[]") + text.count(b"{}")
    containers = text.count(b"[") + text.count(b"{") - empty
    # Every value but the outermost follows a comma, or is the first of its container; every key has a colon.
    return 1 + text.count(b",") + text.count(b":") + containers


def count_toml_values(raw: bytes, most: int = MOST_VALUES) -> int:
    """An upper bound of the number of values in TOML text, counted as in JSON; usually less than twice the number.

    The contents of strings and comments do not count. For text that is not TOML it bounds what a parser makes of it
    before it finds the fault. When it exceeds `most`, the result is some number above `most`.
    """
    rest = bytearray()
    strings = comments = end = 0
    for match in _TOML_TEXT.finditer(raw):
        if raw[match.start()] == _COMMENT:
            comments += 1
        else:
            strings += 1
        if max(strings, comments) > most:  # a comment stands behind a value or a bracket, or at the beginning
            return max(strings, comments)
        rest += raw[end : match.start()]
        end = match.end()
    rest += raw[end:]
    rest = rest.translate(None, _TOML_BLANKS)
    # `key = value` is two values, and each dot may stand between the keys of two tables: a key and a table more.
    pairs, dots = rest.count(b"="), rest.count(b".")
    # The first entry of an array follows its bracket, the others a comma.
    entries = rest.count(b"[") + rest.count(b",")
    # Besides its brackets, `[table]` is one value more, and so is `[[table]]`.
    headers = 1 + rest.count(b"\n[")
    return 1 + 2 * pairs + 2 * dots + entries + headers
