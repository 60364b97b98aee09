"""Timestamps that Python has no value for: PostgreSQL knows infinities, and years before 1 and after 9999."""

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
# psycopg's own, which parses by machine code where that is installed.
_OID: Final = psycopg.adapters.types[_TIMESTAMP].oid
_LOADER: Final = psycopg.adapters.get_loader(_OID, Format.TEXT)


class ClampedTimestampLoader(Loader):
    """Reads `timestamp`; what is earlier than EARLIEST or later than LATEST is read as these."""

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        assert _LOADER is not None  # noqa: S101 - for the type checker
        self._load: Callable[[Buffer], datetime] = _LOADER(oid, context).load

    def load(self, data: Buffer) -> datetime:
        """The time; raises psycopg.DataError for what is no timestamp in the form `DateStyle = ISO`."""
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
    """Have the connection read every timestamp that PostgreSQL stores."""
    connection.adapters.register_loader(_TIMESTAMP, ClampedTimestampLoader)
