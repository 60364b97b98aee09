"""Limits of request heads (SECURITY.md, Limits). The head of a request is its request line and its headers."""

from __future__ import annotations

from typing import Final

# Bytes of one head.
MAX_HEAD_BYTES: Final = 64 * 1024
# Headers of one request: a header takes more memory than its bytes.
MAX_HEADER_FIELDS: Final = 2000
# Bytes of the identity header's value.
MAX_IDENTITY_BYTES: Final = 16 * 1024
# Bytes of incomplete heads that a process keeps for all connections.
MAX_INCOMPLETE_HEAD_BYTES: Final = 8 * 1024 * 1024
# Bytes of each incomplete head that do not count towards that limit.
ORDINARY_HEAD_BYTES: Final = 8 * 1024
# Seconds from the first byte of a request to the end of its head.
HEAD_TIMEOUT: Final = 30.0
