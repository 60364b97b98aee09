"""How many values a request's body holds, counted before it is parsed.

A value may be written in two bytes; it takes a hundred when it is parsed, and more while it is worked on. Counting
keeps a body of 4 MiB from growing to a gigabyte: one of more than MOST_VALUES is refused and never parsed.

Both functions take time linear in the body's length, and end as soon as there are too many values. They work through
the body in blocks: a call of `re` or of a method of `bytes` keeps all other threads, the event loop among them, from
going on. How deeply values are nested is bounded by the parsers themselves.
"""

from __future__ import annotations

import re
from typing import Final

from domain.osbuild.toml import COMMENT, outside_strings

# Room for 10,000 packages (in TOML each is a table of name and version), or for 4,000 files with all properties.
MOST_VALUES: Final = 100_000

# Bytes of a block: a fraction of a millisecond.
_BLOCK: Final = 32 * 1024

_JSON_STRING: Final = re.compile(rb'"[^"]*"?')
_JSON_BLANKS: Final = b" \t\r\n"

_TOML_BLANKS: Final = " \t\r"


def count_values(raw: bytes, most: int = MOST_VALUES) -> int:
    """The number of values in JSON text: objects, arrays, strings, numbers, literals, and the keys of objects.

    The number is exact for JSON. For other text it is not smaller than what a parser makes of it before it finds the
    fault. When it exceeds `most`, the result is some number above `most`.
    """
    # Every value but the outermost follows a comma, or is the first of its container; every key has a colon.
    values = 1
    quotes = at = 0
    opened = b""
    while at < len(raw) and max(values, quotes // 2) <= most:
        block = raw[at : at + _BLOCK]
        if len(block) > 1 and (len(block) - len(block.rstrip(b"\\"))) % 2:
            block = block[:-1]  # an escape sequence is read as a whole
        at += len(block)
        in_string = quotes % 2 == 1
        if in_string and b'"' not in block:
            continue
        # What is left of an escape sequence holds no quotation mark; the pairs of backslashes go first.
        text = block.replace(rb"\\", b"").replace(rb"\"", b"")
        quotes += text.count(b'"')
        if in_string:
            text = b'"' + text
        text = opened + _JSON_STRING.sub(b"s", text).translate(None, _JSON_BLANKS)
        # Whether a container is empty is seen from what follows its bracket.
        opened = text[-1:] if text.endswith((b"[", b"{")) else b""
        text = text.removesuffix(opened)
        empty = text.count(b"[]") + text.count(b"{}")
        values += text.count(b",") + text.count(b":") + text.count(b"[") + text.count(b"{") - empty
    return max(values + len(opened), quotes // 2)


def count_toml_values(raw: bytes, most: int = MOST_VALUES) -> int:
    """An upper bound of the number of values in TOML text, counted as in JSON; usually less than twice the number.

    The contents of strings and comments do not count. For text that is not TOML it bounds what a parser makes of it
    before it finds the fault. When it exceeds `most`, the result is some number above `most`.
    """
    values, strings, comments, size = 2, 0, 0, 0
    parts: list[str] = []
    for part, behind in outside_strings(raw.decode("latin-1")):
        comments += behind == COMMENT
        strings += behind not in {"", COMMENT}
        parts.append(part)
        size += len(part)
        if size >= _BLOCK:
            rest = "".join(parts)
            values += _toml_values(rest)
            # Whether a line begins with a bracket may be seen from the next part only.
            parts, size = ["\n"] if rest.rstrip(_TOML_BLANKS).endswith("\n") else [], 0
        if max(values, strings, comments) > most:  # a comment stands behind a value or a bracket, or at the beginning
            break
    return max(values + _toml_values("".join(parts)), strings, comments)


def _toml_values(rest: str) -> int:
    for blank in _TOML_BLANKS:
        rest = rest.replace(blank, "")
    # `key = value` is two values, and each dot may stand between the keys of two tables: a key and a table more.
    pairs, dots = rest.count("="), rest.count(".")
    # The first entry of an array follows its bracket, the others a comma.
    entries = rest.count("[") + rest.count(",")
    # Besides its brackets, `[table]` is one value more, and so is `[[table]]`.
    return 2 * pairs + 2 * dots + entries + rest.count("\n[")
