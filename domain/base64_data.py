"""Decodes base64 (RFC 4648, section 4)."""

from __future__ import annotations

import base64


def decode_base64(data: str | bytes) -> bytes:
    """Return the bytes that `data` encodes. Raises ValueError for other characters, and for wrong padding."""
    return base64.b64decode(data, validate=True)


def decode_base64_text(data: str) -> str:
    """Return the UTF-8 text that `data` encodes; `data` may have line breaks. Raises ValueError."""
    return decode_base64(data.replace("\r", "").replace("\n", "")).decode()
