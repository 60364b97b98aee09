"""The statements of lists of blueprints, in each order, by offset and by cursor."""

from __future__ import annotations

from typing import Final

from adapters.postgres.pages import direction, is_descending, reads_descending
from domain.blueprints.blueprint import BlueprintsQuery
from domain.paging import Page

# `changed_at` is set with the first version: the older program may have stopped between the two inserts.
LISTED: Final = "org_id = %(tenant)s AND deleted = false AND changed_at IS NOT NULL"

# Who saved the first version of a blueprint; NULL where that is not known.
AUTHOR: Final = """
(SELECT authors.created_by
 FROM blueprint_versions first JOIN blueprint_version_authors authors ON authors.version_id = first.id
 WHERE first.blueprint_id = blueprints.id AND first.version = 1)"""

# The labels of a blueprint as JSON text; NULL for none.
LABELS: Final = """
(SELECT labels.labels::text FROM blueprint_labels labels
 WHERE labels.blueprint_id = blueprints.id AND labels.labels <> '{}')"""

# The subselects convert the pattern to lower case once, not for every row.
_SEARCHED: Final = f"""{LISTED}
  AND (lower_name LIKE (SELECT lower(%(search)s::text)) OR lower_description LIKE (SELECT lower(%(search)s::text)))
"""

COUNT_ALL: Final = f"SELECT count(*) FROM blueprints WHERE {LISTED}"  # noqa: S608 - constants
COUNT_SEARCH: Final = f"SELECT count(*) FROM blueprints WHERE {_SEARCHED}"  # noqa: S608

# Reads only the index of the order in order to find the blueprints of a page. LIMIT 1 keeps the planner from joining
# the other way round.
_PAGE: Final = """
SELECT page.id::text, listed.*, page.key::text
FROM (SELECT id, {column} AS key FROM blueprints WHERE {listed}
      ORDER BY {column} {reading}, id {reading} LIMIT %(limit)s OFFSET %(offset)s) page
CROSS JOIN LATERAL (
    SELECT latest_version, name, COALESCE(description, ''), changed_at, {author}, {labels}
    FROM blueprints WHERE id = page.id LIMIT 1
) listed
ORDER BY page.key {shown}, page.id {shown}
"""
# Whether there are blueprints on the other side of the cursor, its own blueprint included.
_PROBE: Final = "SELECT EXISTS (SELECT 1 FROM blueprints WHERE {listed})"
# The column and its type, by the name of an order; and the condition that only the index of this order has, which keeps
# the planner from reading the other one and sorting all that it finds. The two conditions are equivalent.
_KEYS: Final = {
    "last_modified_at": ("changed_at", "timestamp", "changed_at IS NOT NULL"),
    "name": ('lower_name COLLATE "C"', "text", "latest_version IS NOT NULL"),
}


def _page_statements(query: BlueprintsQuery) -> tuple[str, str | None]:
    """The statement that reads a page, and with a cursor the one that looks for blueprints before it."""
    column, type_, condition = _KEYS[query.sort.removeprefix("-")]
    listed = (LISTED if query.search is None else _SEARCHED).replace("changed_at IS NOT NULL", condition)
    reads_down = reads_descending(query)
    position, probe = "", None
    if query.cursor is not None:
        beyond, opposite = ("<", ">=") if reads_down else (">", "<=")
        position = f" AND ({column}, id) {beyond} (%(key)s::{type_}, %(id)s::uuid)"
        probe = _PROBE.format(listed=f"{listed} AND ({column}, id) {opposite} (%(key)s::{type_}, %(id)s::uuid)")
    page = _PAGE.format(
        column=column,
        author=AUTHOR,
        labels=LABELS,
        listed=listed + position,
        reading=direction(reads_down),
        shown=direction(is_descending(query.sort)),
    )
    return page, probe


PAGE_OF_ALL: Final = _page_statements(BlueprintsQuery("", Page(1, 0)))[0]
PAGE_OF_SEARCH: Final = _page_statements(BlueprintsQuery("", Page(1, 0), search=""))[0]


def list_statements(query: BlueprintsQuery) -> tuple[str, str, str | None]:
    """The statements of a list: its count, its page, and with a cursor whether there are blueprints before it."""
    page, probe = _page_statements(query)
    return COUNT_ALL if query.search is None else COUNT_SEARCH, page, probe
