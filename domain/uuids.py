"""UUIDs as text."""

from __future__ import annotations

import re
from typing import Final

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_uuid(text: str) -> bool:
    """Return whether `text` is a UUID in the form of RFC 9562, section 4, in either case."""
    return _UUID.fullmatch(text) is not None
