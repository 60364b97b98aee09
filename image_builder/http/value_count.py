"""Counts the values in a request's body before the body is parsed.

A value may take two bytes in the body, a hundred bytes after parsing, and more while it is processed. A body with more
than MAX_VALUES values is refused before it is parsed, so that 4 MiB cannot grow to a gigabyte.

Both functions take time linear in the length of the body, and stop as soon as there are too many values. They process
the body in blocks, because one call of `re` or of a method of `bytes` blocks all other threads, including the event
loop. The depth of nesting is limited by the parsers.
"""

from __future__ import annotations

import re
from typing import Final

from domain.osbuild.toml import COMMENT, outside_strings

# Values in a body: enough for 10,000 packages (in TOML each is a table of name and version), or 4,000 files with all
# properties.
MAX_VALUES: Final = 100_000

# Bytes of a block. To process one takes a fraction of a millisecond.
_BLOCK: Final = 32 * 1024

_JSON_STRING: Final = re.compile(rb'"[^"]*"?')
_JSON_BLANKS: Final = b" \t\r\n"

_TOML_BLANKS: Final = " \t\r"


def count_values(raw: bytes, limit: int = MAX_VALUES) -> int:
    """Count the values in JSON text: objects, arrays, strings, numbers, literals, and the keys of objects.

    The number is exact for valid JSON. For other text it is at least the number of values that a parser creates before
    it finds the error. If it exceeds `limit`, the result is any number above `limit`.
    """
    # Each value except the outermost follows a comma or is the first in its container; each key precedes a colon.
    values = 1
    quotes = at = 0
    opened = b""
    while at < len(raw) and max(values, quotes // 2) <= limit:
        block = raw[at : at + _BLOCK]
        if len(block) > 1 and (len(block) - len(block.rstrip(b"\\"))) % 2:
            block = block[:-1]  # an escape sequence must not be split
        at += len(block)
        in_string = quotes % 2 == 1
        if in_string and b'"' not in block:
            continue
        # Remove escaped quotation marks; pairs of backslashes first.
        text = block.replace(rb"\\", b"").replace(rb"\"", b"")
        quotes += text.count(b'"')
        if in_string:
            text = b'"' + text
        text = opened + _JSON_STRING.sub(b"s", text).translate(None, _JSON_BLANKS)
        # A container is empty if its next character is its closing bracket, which may be in the next block.
        opened = text[-1:] if text.endswith((b"[", b"{")) else b""
        text = text.removesuffix(opened)
        empty = text.count(b"[]") + text.count(b"{}")
        values += text.count(b",") + text.count(b":") + text.count(b"[") + text.count(b"{") - empty
    return max(values + len(opened), quotes // 2)


def count_toml_values(raw: bytes, limit: int = MAX_VALUES) -> int:
    """Return an upper bound of the number of values in TOML text, which is usually less than twice the number.

    Values are those of `count_values`; the contents of strings and comments do not count. For invalid TOML, the result
    is at least the number of values that a parser creates before it finds the error. If it exceeds `limit`, the result
    is any number above `limit`.
    """
    values, strings, comments, size = 2, 0, 0, 0
    parts: list[str] = []
    for part, delimiter in outside_strings(raw.decode("latin-1")):
        comments += delimiter == COMMENT
        strings += delimiter not in {"", COMMENT}
        parts.append(part)
        size += len(part)
        if size >= _BLOCK:
            rest = "".join(parts)
            values += _toml_values(rest)
            # The bracket at the beginning of a line may be in the next part.
            parts, size = ["\n"] if rest.rstrip(_TOML_BLANKS).endswith("\n") else [], 0
        if max(values, strings, comments) > limit:  # a comment follows a value or a bracket, or begins the text
            break
    return max(values + _toml_values("".join(parts)), strings, comments)


def _toml_values(rest: str) -> int:
    for blank in _TOML_BLANKS:
        rest = rest.replace(blank, "")
    # `key = value` is two values; each dot may separate the keys of two tables, which adds a key and a table.
    pairs, dots = rest.count("="), rest.count(".")
    # The first entry of an array follows its bracket, each other entry a comma.
    entries = rest.count("[") + rest.count(",")
    # `[table]` and `[[table]]` add one value besides their brackets.
    return 2 * pairs + 2 * dots + entries + rest.count("\n[")
