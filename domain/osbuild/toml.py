"""Reading TOML that may have been written to take much time or memory."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from domain.errors import InvalidRequestError

# The strings and comments of TOML, as a verbose regular expression in which a dot is any character. It looks at no
# character twice. A comment stands for those that follow it as well.
STRINGS_AND_COMMENTS: Final = r"""
      \"\"\" [^"\\]*+ (?: (?: \\. | "{1,2}(?!") ) [^"\\]*+ )*+ (?:"{3,5})?
    | ''' [^']*+ (?: '{1,2}(?!') [^']*+ )*+ (?:'{3,5})?
    | " [^"\\\n]*+ (?: \\[^\n] [^"\\\n]*+ )*+ "?
    | ' [^'\n]*+ '?
    | \# [^\n]*+ (?: \s*+ \# [^\n]*+ )*+
    """
# The time tomllib takes for a key grows with the square of its parts, the memory it takes for a number is 140 times the
# number's length.
_MOST_PARTS: Final = 20
_LONGEST_WORD: Final = 10_000
_NO_WORD: Final = re.compile(STRINGS_AND_COMMENTS, re.VERBOSE | re.DOTALL)
_LONG_KEY: Final = re.compile(rf"(?<![A-Za-z0-9_.-])(?:[A-Za-z0-9_-]++\.){{{_MOST_PARTS}}}")
_LONG_WORD: Final = re.compile(rf"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{{{_LONGEST_WORD + 1}}}")
_LONGEST_REASON: Final = 200


def parsed(text: str) -> dict[str, Any]:
    """The TOML document in `text`.

    Raises InvalidRequestError for text that is no TOML, and for a key or a number that would take tomllib too much time
    or memory.
    """
    words = _NO_WORD.sub(_without_content, text)
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


def _without_content(match: re.Match[str]) -> str:
    return "_" if match[0][0] in "\"'" else ""
