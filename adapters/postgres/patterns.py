"""Patterns of LIKE."""

from __future__ import annotations


def escape_like(text: str) -> str:
    """`text` escaped for a pattern of LIKE, so that it matches itself."""
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
