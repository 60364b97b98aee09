"""Reading TOML that may have been written to take much time or memory."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final

from domain.errors import InvalidRequestError

# What begins a string or a comment; and for each of them, what it consists of and what ends it. A comment stands for
# those that follow it as well.
_BEGINS: Final = re.compile("[\"'#]")
COMMENT: Final = "#"
_CONTENTS: Final = {
    '"""': (re.compile(r'(?:[^"\\]++|\\.|"{1,2}(?=[^"]))++', re.DOTALL), re.compile('(?:"{3,5})?')),
    "'''": (re.compile(r"(?:[^']++|'{1,2}(?=[^']))++"), re.compile("(?:'{3,5})?")),
    '"': (re.compile(r'(?:[^"\\\n]++|\\[^\n])++'), re.compile('"?')),
    "'": (re.compile(r"[^'\n]++"), re.compile("'?")),
    COMMENT: (re.compile(r"(?:[^\n]++|\n[ \t\r\n]*+#)++"), re.compile("")),
}
# Characters that are looked at in one call of `re`, which keeps all other threads from going on: a fraction of a
# millisecond.
_BLOCK: Final = 32 * 1024
# The time tomllib takes for a key grows with the square of its parts, the memory it takes for a number is 140 times the
# number's length.
_MOST_PARTS: Final = 20
_LONGEST_WORD: Final = 10_000
_LONG_KEY: Final = re.compile(rf"(?<![A-Za-z0-9_.-])(?:[A-Za-z0-9_-]++\.){{{_MOST_PARTS}}}")
_LONG_WORD: Final = re.compile(rf"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{{{_LONGEST_WORD + 1}}}")
_LONGEST_REASON: Final = 200


def parsed(text: str) -> dict[str, Any]:
    """The TOML document in `text`.

    Raises InvalidRequestError for text that is no TOML, and for a key or a number that would take tomllib too much time
    or memory.
    """
    words = "".join(part + "_" * (begins not in {"", COMMENT}) for part, begins in outside_strings(text))
    if _LONG_WORD.search(words):
        raise InvalidRequestError(
            f"blueprint: expected TOML with keys and numbers of at most {_LONGEST_WORD} characters"
        )
    if _LONG_KEY.search(words.replace(" ", "").replace("\t", "")):
        raise InvalidRequestError(f"blueprint: expected TOML with keys of at most {_MOST_PARTS} parts")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequestError(f"blueprint: expected TOML: {str(error)[:_LONGEST_REASON]}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, lists within lists within lists
        raise InvalidRequestError("blueprint: expected TOML: too large a number, or nested too deeply") from None


def outside_strings(text: str) -> Iterator[tuple[str, str]]:
    """The parts of TOML text between strings and comments, each with the delimiter that begins what stands behind it.

    The delimiter is empty behind the last part, and where a long part is given in pieces. In text that is not TOML, a
    string that does not end takes the rest of the text or of its line. Takes time linear in the length of the text.
    """
    at = 0
    while at < len(text):
        begins = _BEGINS.search(text, at, at + _BLOCK)
        if begins is None:
            yield text[at : at + _BLOCK], ""
            at += _BLOCK
        else:
            start = begins.start()
            delimiter = (
                '"""' if text.startswith('"""', start) else "'''" if text.startswith("'''", start) else begins[0]
            )
            yield text[at:start], delimiter
            at = _end(text, start, delimiter)


def _end(text: str, start: int, delimiter: str) -> int:
    content, closing = _CONTENTS[delimiter]
    at = start + len(delimiter)
    while (piece := content.match(text, at, at + _BLOCK)) is not None:
        at = piece.end()
    end = closing.match(text, at)
    return at if end is None else end.end()
