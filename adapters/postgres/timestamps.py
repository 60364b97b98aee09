"""Reads timestamps that Python cannot represent: infinities, and years before 1 or after 9999."""

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
# psycopg's own loader, which is compiled code if psycopg's C extension is installed.
_OID: Final = psycopg.adapters.types[_TIMESTAMP].oid
_LOADER: Final = psycopg.adapters.get_loader(_OID, Format.TEXT)


class ClampedTimestampLoader(Loader):
    """Reads `timestamp`; times out of range as EARLIEST or LATEST (docs/operations.md, Damaged timestamps)."""

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        assert _LOADER is not None  # noqa: S101 - for the type checker
        self._load: Callable[[Buffer], datetime] = _LOADER(oid, context).load

    def load(self, data: Buffer) -> datetime:
        """Return the time. Raises psycopg.DataError for text that is not a timestamp in the form `DateStyle = ISO`."""
        try:
            return self._load(data)
        except psycopg.DataError:
            text = bytes(data)
            if text == b"-infinity" or text.endswith(b" BC"):
                return EARLIEST
            if text == b"infinity" or text.partition(b"-")[0].isdigit():
                return LATEST
            raise


def read_all_timestamps(connection: psycopg.Connection[Any]) -> None:
    """Register the loader that reads every timestamp that PostgreSQL can store."""
    connection.adapters.register_loader(_TIMESTAMP, ClampedTimestampLoader)
