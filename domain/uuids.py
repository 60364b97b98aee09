"""UUIDs."""

from __future__ import annotations

import random
import re
from typing import Final
from uuid import UUID

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_uuid(text: str) -> bool:
    """Return whether `text` is a UUID in the form of RFC 9562, section 4, in either case."""
    return _UUID.fullmatch(text) is not None


def create_uuid() -> UUID:
    """Return a new UUID of version 4 that is no secret (RFC 9562, section 5.4).

    `uuid.uuid4` asks the operating system, and lets other threads run meanwhile, for which the request then waits.
    """
    return UUID(int=random.getrandbits(128), version=4)
