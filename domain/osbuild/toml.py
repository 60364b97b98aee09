"""A TOML parser for untrusted text, with limits of time and memory."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final

from domain.errors import InvalidRequestError

# The first character of a string or a comment.
_BEGINS: Final = re.compile("[\"'#]")
COMMENT: Final = "#"
# The patterns of content and end of strings and comments, by delimiter. Consecutive comments count as one.
_CONTENTS: Final = {
    '"""': (re.compile(r'(?:[^"\\]++|\\.|"{1,2}(?=[^"]))++', re.DOTALL), re.compile('(?:"{3,5})?')),
    "'''": (re.compile(r"(?:[^']++|'{1,2}(?=[^']))++"), re.compile("(?:'{3,5})?")),
    '"': (re.compile(r'(?:[^"\\\n]++|\\[^\n])++'), re.compile('"?')),
    "'": (re.compile(r"[^'\n]++"), re.compile("'?")),
    COMMENT: (re.compile(r"(?:[^\n]++|\n[ \t\r\n]*+#)++"), re.compile("")),
}
# Characters per call of `re`, which holds the GIL for a fraction of a millisecond.
_BLOCK: Final = 32 * 1024
# Parts of a dotted key. The time that tomllib takes grows with the square of this number.
_MAX_KEY_PARTS: Final = 20
# Characters of a number or a part of a key. tomllib takes 140 bytes of memory per character of a number.
_MAX_WORD_LENGTH: Final = 10_000
_LONG_KEY: Final = re.compile(rf"(?<![A-Za-z0-9_.-])(?:[A-Za-z0-9_-]++\.){{{_MAX_KEY_PARTS}}}")
_LONG_WORD: Final = re.compile(rf"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{{{_MAX_WORD_LENGTH + 1}}}")
# Characters of a message of tomllib in an error.
_MAX_REASON_LENGTH: Final = 200


def parse_toml(text: str) -> dict[str, Any]:
    """Parse a TOML document.

    Raises InvalidRequestError if the text is no TOML, or has a key or a number for which tomllib would take too much
    time or memory.
    """
    words = "".join(part + "_" * (begins not in {"", COMMENT}) for part, begins in outside_strings(text))
    if _LONG_WORD.search(words):
        raise InvalidRequestError(
            f"blueprint: expected TOML with keys and numbers of at most {_MAX_WORD_LENGTH} characters"
        )
    if _LONG_KEY.search(words.replace(" ", "").replace("\t", "")):
        raise InvalidRequestError(f"blueprint: expected TOML with keys of at most {_MAX_KEY_PARTS} parts")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequestError(f"blueprint: expected TOML: {str(error)[:_MAX_REASON_LENGTH]}") from None
    except (ValueError, RecursionError):  # too long a number, or lists nested too deeply
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
