"""A TOML parser for untrusted text, with limits of time and memory."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final

from domain.errors import InvalidRequestError
from domain.osbuild.toml_errors import describe_toml_error

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
# A bracket, a comma, blanks from a line break on, or anything else between them.
_WORD: Final = re.compile(r"[\[\]{},]|[\r\n][ \t\r\n]*+|[^\[\]{}, \t\r\n]++")


def parse_toml(text: str) -> dict[str, Any]:
    """Parse a TOML document.

    Raises InvalidRequestError if the text is no TOML, or has a key or a number for which tomllib would take too much
    time or memory.
    """
    words = "".join(part + "_" * (begins not in {"", COMMENT}) for part, begins in outside_strings(text))
    if _LONG_WORD.search(words):
        raise InvalidRequestError(
            f"The blueprint is not TOML: a key or a number has more than {_MAX_WORD_LENGTH} characters"
        )
    if _LONG_KEY.search(words.replace(" ", "").replace("\t", "")):
        raise InvalidRequestError(f"The blueprint is not TOML: a key has more than {_MAX_KEY_PARTS} parts")
    try:
        return _load(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequestError(f"The blueprint is not TOML: {describe_toml_error(str(error), text)}") from None
    except (ValueError, RecursionError):  # too long a number, or lists nested too deeply
        raise InvalidRequestError("The blueprint is not TOML: too large a number, or nested too deeply") from None


def _load(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        # tomllib reads TOML 1.0. Positions of errors are the same in the other form.
        as_toml_1_0 = join_inline_tables(text)
        if as_toml_1_0 == text:
            raise
    return tomllib.loads(as_toml_1_0)


def join_inline_tables(text: str) -> str:
    """TOML 1.1 text as TOML 1.0 of the same length: inline tables stand on one line, without a trailing comma.

    In place of line breaks, commas and comments there are blanks.
    """
    pieces: list[str] = []
    opened: list[str] = []
    comma: tuple[int, int] | None = None  # the piece and the offset in it, if a comma is the last word
    last = ""
    for start, end, delimiter, behind in _segments(text):
        part = list(text[start:end])
        for word in _WORD.finditer(text, start, end):
            letter, at = word[0][0], word.start() - start
            if letter in "\r\n":
                if opened and opened[-1] == "{":
                    part[at : word.end() - start] = " " * len(word[0])
                continue
            if letter in "{[":
                opened.append(letter)
            elif letter in "}]" and opened:
                if letter == "}" and comma is not None:
                    _blank(pieces, part, comma)
                opened.pop()
            # A comma that no entry stands before is none that may be left out.
            trailing = letter == "," and last not in {"{", ","} and bool(opened) and opened[-1] == "{"
            comma = (len(pieces), at) if trailing else None
            last = letter
        pieces.append("".join(part))
        inside = bool(opened) and opened[-1] == "{"
        pieces.append(" " * (behind - end) if delimiter == COMMENT and inside else text[end:behind])
        if delimiter not in {"", COMMENT}:
            comma, last = None, delimiter
    return "".join(pieces)


def _blank(pieces: list[str], part: list[str], place: tuple[int, int]) -> None:
    """Replace the letter at this piece and offset by a blank; `part` is the piece that is not in `pieces` yet."""
    index, at = place
    if index == len(pieces):
        part[at] = " "
    else:
        pieces[index] = f"{pieces[index][:at]} {pieces[index][at + 1 :]}"


def outside_strings(text: str) -> Iterator[tuple[str, str]]:
    """The parts of TOML text between strings and comments, each with the delimiter that begins what stands behind it.

    The delimiter is empty behind the last part, and where a long part is given in pieces. In text that is not TOML, a
    string that does not end takes the rest of the text or of its line. Takes time linear in the length of the text.
    """
    for start, end, delimiter, _ in _segments(text):
        yield text[start:end], delimiter


def _segments(text: str) -> Iterator[tuple[int, int, str, int]]:
    """Start and end of each part of `outside_strings`, the delimiter, and the end of what it begins."""
    at = 0
    while at < len(text):
        begins = _BEGINS.search(text, at, at + _BLOCK)
        if begins is None:
            end = min(at + _BLOCK, len(text))
            yield at, end, "", end
            at = end
        else:
            start = begins.start()
            delimiter = (
                '"""' if text.startswith('"""', start) else "'''" if text.startswith("'''", start) else begins[0]
            )
            behind = _end(text, start, delimiter)
            yield at, start, delimiter, behind
            at = behind


def _end(text: str, start: int, delimiter: str) -> int:
    content, closing = _CONTENTS[delimiter]
    at = start + len(delimiter)
    while (piece := content.match(text, at, at + _BLOCK)) is not None:
        at = piece.end()
    end = closing.match(text, at)
    return at if end is None else end.end()
