"""What others say, in the form in which PostgreSQL stores it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def storable(document: Any) -> Any:
    """A JSON value without the one character that PostgreSQL stores in no text: logs hold anything."""
    if isinstance(document, str):
        return document.replace("\0", "")
    if isinstance(document, Mapping):
        return {storable(key): storable(part) for key, part in document.items()}
    return [storable(part) for part in document] if isinstance(document, list | tuple) else document
