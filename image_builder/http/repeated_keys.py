"""Finds keys that a JSON object has twice: the parser takes the last value, and the client may mean the first."""

from __future__ import annotations

import json
from typing import Any, Final

from domain.errors import InvalidRequestError
from domain.texts import shorten

# Characters of a key in an error.
_MAX_KEY_LENGTH: Final = 100


class _Pairs(list[tuple[str, Any]]):
    """The keys and values of a JSON object, in their order."""


def refuse_repeated_keys(raw: bytes, name: str) -> None:
    """Raise InvalidRequestError if a body has the key `name` twice, or the object below this key has a key twice.

    `raw` is the body, a JSON object that has been parsed before. The error names the key. InvalidRequestError is also
    raised for a body that is nested too deeply.
    """
    try:
        # Numbers stay text: they do not matter here, and to convert them takes time.
        pairs = json.loads(raw.decode(), object_pairs_hook=_Pairs, parse_int=str, parse_float=str)
    except RecursionError:
        raise InvalidRequestError("body: nested too deeply") from None
    below = [value for key, value in pairs if key == name]
    if len(below) > 1:
        raise InvalidRequestError(f"{name}: given twice")
    for value in below:
        seen: set[str] = set()
        for key, _ in value if isinstance(value, _Pairs) else ():
            if key in seen:
                raise InvalidRequestError(f"{name}: the key {shorten(key, _MAX_KEY_LENGTH)!r} is given twice")
            seen.add(key)
