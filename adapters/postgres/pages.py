"""Pages by offset and by cursor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol
from uuid import UUID

from psycopg import errors

from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.server_monitor import MonitoredConnection
from domain.paging import Cursor, Page, invalid_cursor_error

# A row of a page: first the id as text, last the key of a cursor.
Row = tuple[Any, ...]


class PagedQuery(Protocol):
    """A query for one page of a list."""

    @property
    def page(self) -> Page:
        """The page; with a cursor, only its `limit` is used."""

    @property
    def sort(self) -> str:
        """The order."""

    @property
    def cursor(self) -> Cursor | None:
        """The position at which the page begins; None for a page by offset."""


@dataclass(frozen=True, slots=True)
class FoundPage:
    """The result of the statements of a list.

    With a cursor, `rows` has one row more than the page if there are further entries. `has_opposite_entries` says
    whether there are entries on the other side of the cursor.
    """

    count: int
    rows: Sequence[Row]
    has_opposite_entries: bool = False


def is_descending(sort: str) -> bool:
    """Return whether an order begins with the largest values."""
    return sort.startswith("-")


def direction(descending: bool) -> str:
    """Return the direction for ORDER BY."""
    return "DESC" if descending else "ASC"


def reads_descending(query: PagedQuery) -> bool:
    """Return whether the page is read from larger to smaller values; a backward page reverses the list's order."""
    return is_descending(query.sort) != (query.cursor is not None and query.cursor.backward)


def page_values(query: PagedQuery) -> dict[str, Any]:
    """Return the parameters of a page: `limit` and `offset`, and with a cursor `key` and `id`."""
    if query.cursor is None:
        return {"limit": query.page.limit, "offset": query.page.offset}
    # The additional row shows whether there are further entries.
    return {"limit": query.page.limit + 1, "offset": 0, "key": query.cursor.key, "id": query.cursor.id}


def read_page(
    database: PostgresDatabase,
    query: PagedQuery,
    statements: tuple[str, str, str | None],
    values: Mapping[str, Any],
) -> FoundPage:
    """Execute the statements of a list as one statement: its count, its page, and for a cursor the probe.

    The probe says whether there are entries on the other side of the cursor. Raises InvalidRequestError for a cursor
    whose key is no value of the list's order, and UnavailableError.
    """
    statement = _combine(*statements)

    def read(connection: MonitoredConnection) -> FoundPage:
        rows = connection.fetch(statement, values)
        count, has_opposite_entries = rows[0][:2]
        return FoundPage(count, [row[2:] for row in rows if row[2] is not None], has_opposite_entries)

    try:
        return database.run_with_retry(read)
    except errors.DataError:
        if query.cursor is None:
            raise
        raise invalid_cursor_error() from None


@lru_cache(maxsize=256)
def _combine(count: str, page: str, probe: str | None) -> str:
    """Return one statement for the count, the probe and the page: that costs the client half as much as three.

    The rows of the page keep their order, because the other side of the join is one row. For an empty page there is one
    row, of which the columns of the page are NULL.
    """
    return f"""
SELECT *
FROM (SELECT ({count}), ({probe or "SELECT false"})) counted (number, has_opposite_entries)
LEFT JOIN ({page}) page_of_list ON true
"""  # noqa: S608 - statements of this package


def rows_and_cursors(query: PagedQuery, found: FoundPage) -> tuple[Sequence[Row], Cursor | None, Cursor | None]:
    """Return the rows of the page, and the cursors of the previous and the next page, None if there is no such page."""
    rows, limit = found.rows, query.page.limit
    if query.cursor is None:
        has_previous, has_next = query.page.offset > 0, query.page.offset + len(rows) < found.count
    elif query.cursor.backward:
        has_previous, has_next = len(rows) > limit, found.has_opposite_entries
        rows = rows[-limit:]
    else:
        has_previous, has_next = found.has_opposite_entries, len(rows) > limit
        rows = rows[:limit]
    if not rows:
        return rows, None, None
    return (
        rows,
        Cursor(query.sort, rows[0][-1], UUID(rows[0][0]), backward=True) if has_previous else None,
        Cursor(query.sort, rows[-1][-1], UUID(rows[-1][0])) if has_next else None,
    )
