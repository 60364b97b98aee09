"""Times in query parameters."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from domain.errors import InvalidRequestError

_RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def parse_time(name: str, text: str | None) -> datetime | None:
    """The time of a parameter `name` in the form of RFC 3339, section 5.6, in UTC without a time zone; None for None.

    Raises InvalidRequestError for a text that is no such time.
    """
    if text is None:
        return None
    try:
        if _RFC_3339.fullmatch(text) is not None:
            return datetime.fromisoformat(text.upper()).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        pass  # the 30th of February, or the first hours of year 1 in a zone east of Greenwich
    raise InvalidRequestError(f"{name}: expected a time such as 2026-01-31T12:00:00Z (RFC 3339)")
