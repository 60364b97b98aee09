"""Reading TOML that may have been written to keep us busy."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from domain.errors import InvalidRequestError

# The time tomllib takes for a key grows with the square of its parts.
_MOST_PARTS: Final = 20
# Strings, comments and blanks: where a dot is none between the parts of a key. None of them is looked at twice.
_NO_KEY: Final = re.compile(
    r"""
      "{3} (?: [^"\\] | \\. | "{1,2}(?!") )*+ (?:"{3,5})?
    | '{3} (?: [^'] | '{1,2}(?!') )*+ (?:'{3,5})?
    | " (?: [^"\\\n] | \\[^\n] )*+ "?
    | ' [^'\n]*+ '?
    | \# [^\n]*+
    | [ \t]++
    """,
    re.VERBOSE | re.DOTALL,
)
_LONG_KEY: Final = re.compile(rf"(?<![A-Za-z0-9_.-])(?:[A-Za-z0-9_-]++\.){{{_MOST_PARTS}}}")
_LONGEST_REASON: Final = 200


def parsed(text: str) -> dict[str, Any]:
    """The TOML document in `text`. Raises InvalidRequestError where there is none, or one of keys without end."""
    if _LONG_KEY.search(_NO_KEY.sub(_without_dots, text)):
        raise InvalidRequestError(f"blueprint: expected TOML with keys of at most {_MOST_PARTS} parts")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequestError(f"blueprint: expected TOML: {str(error)[:_LONGEST_REASON]}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, lists within lists within lists
        raise InvalidRequestError("blueprint: expected TOML: too large a number, or nested too deeply") from None


def _without_dots(match: re.Match[str]) -> str:
    return "_" if match[0][0] in "\"'" else ""
