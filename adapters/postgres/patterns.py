"""Patterns of LIKE."""

from __future__ import annotations


def escape_like(text: str) -> str:
    """Return `text` escaped for a pattern of LIKE, so that the pattern matches exactly this text."""
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
