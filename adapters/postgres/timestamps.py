"""Reads timestamps for which Python has no value: PostgreSQL knows infinities, and years before 1 and after 9999."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

EARLIEST: Final = datetime.min
LATEST: Final = datetime(9999, 12, 31, 23, 59, 59)

_TIMESTAMP: Final = "timestamp"
# psycopg's own loader, which is compiled code where psycopg's C extension is installed.
_OID: Final = psycopg.adapters.types[_TIMESTAMP].oid
_LOADER: Final = psycopg.adapters.get_loader(_OID, Format.TEXT)
_BINARY_LOADER: Final = psycopg.adapters.get_loader(_OID, Format.BINARY)


class ClampedTimestampLoader(Loader):
    """Reads `timestamp`; times out of range as EARLIEST or LATEST (docs/operations.md, Damaged timestamps)."""

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        assert _LOADER is not None  # noqa: S101 - for the type checker
        self._load: Callable[[Buffer], datetime] = _LOADER(oid, context).load

    def load(self, data: Buffer) -> datetime:
        """The time. Raises psycopg.DataError for text that is no timestamp in the form `DateStyle = ISO`."""
        try:
            return self._load(data)
        except psycopg.DataError:
            text = bytes(data)
            if text == b"-infinity" or text.endswith(b" BC"):
                return EARLIEST
            if text == b"infinity" or text.partition(b"-")[0].isdigit():
                return LATEST
            raise


class ClampedBinaryTimestampLoader(Loader):
    """Does the same for results in binary form: microseconds since the year 2000, in eight bytes."""

    format = Format.BINARY

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        assert _BINARY_LOADER is not None  # noqa: S101 - for the type checker
        self._load: Callable[[Buffer], datetime] = _BINARY_LOADER(oid, context).load

    def load(self, data: Buffer) -> datetime:
        """The time."""
        try:
            return self._load(data)
        except psycopg.DataError:
            return EARLIEST if int.from_bytes(data, signed=True) < 0 else LATEST


def read_all_timestamps(connection: psycopg.Connection[Any]) -> None:
    """Register the loaders that read every timestamp that PostgreSQL can store."""
    connection.adapters.register_loader(_TIMESTAMP, ClampedTimestampLoader)
    connection.adapters.register_loader(_TIMESTAMP, ClampedBinaryTimestampLoader)
