"""Prepares JSON documents of other programs for PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def remove_nul(document: Any) -> Any:
    """Return a copy of a JSON value without NUL, which PostgreSQL cannot store in text.

    Logs of builds may contain it.
    """
    if isinstance(document, str):
        return document.replace("\0", "")
    if isinstance(document, Mapping):
        return {remove_nul(key): remove_nul(part) for key, part in document.items()}
    return [remove_nul(part) for part in document] if isinstance(document, list | tuple) else document
