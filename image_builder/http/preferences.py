"""The preferences of the header Prefer (RFC 7240)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

# The value of Preference-Applied for the full check before a build.
STRICT: Final = "handling=strict"
# The elements of the list in a Prefer header: a comma in a quoted value separates none.
_PREFERENCE: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"?)+')
_HANDLING: Final = re.compile(r'handling[ \t]*=[ \t]*"?(?P<value>[a-z]*)"?[ \t]*(?:;.*)?', re.IGNORECASE)


def list_preferences(prefer: str | None) -> Iterator[str]:
    """Yield the preferences of the header, such as `wait=10`."""
    for preference in _PREFERENCE.findall(prefer or ""):
        yield preference.strip(" \t")


def is_strict(prefer: str | None) -> bool:
    """Return whether the client prefers `handling=strict`. The first preference of that name counts."""
    for preference in list_preferences(prefer):
        found = _HANDLING.fullmatch(preference)
        if found is not None:
            return found["value"].lower() == "strict"
    return False
