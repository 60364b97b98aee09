"""Limits of requests' headers (SECURITY.md, limits). The request line counts as a part of the headers."""

from __future__ import annotations

from typing import Final

# Bytes of one request's headers.
MAX_HEADER_BYTES: Final = 64 * 1024
# Header fields of one request: a field takes more memory than its bytes.
MAX_HEADER_FIELDS: Final = 2000
# Bytes of the identity header's value.
MAX_IDENTITY_BYTES: Final = 16 * 1024
# Bytes of incomplete headers that a process holds for all connections; headers up to `ORDINARY_HEADER_BYTES` do not
# count.
MAX_INCOMPLETE_BYTES: Final = 8 * 1024 * 1024
ORDINARY_HEADER_BYTES: Final = 8 * 1024
# Seconds from a request's first byte to the end of its headers.
HEADERS_TIMEOUT: Final = 30.0
