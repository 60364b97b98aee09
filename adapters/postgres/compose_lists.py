"""The statements of lists of builds with filters, other orders and cursors, on the table `compose_list_entries`.

Each list reads one index that holds all columns of the table, in the order of the list. It costs at most what reading
the entries of the organization costs, whatever the filters are (docs/operations.md, Filters and counts of lists).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from adapters.postgres.pages import direction, is_descending, page_values, reads_descending
from adapters.postgres.patterns import escape_like
from domain.compose_filters import DEFAULT_SORT, ComposeFilters
from domain.composes import LISTED_FOR, ComposesQuery

# The time from which builds are listed. `statement_timestamp` is constant while a statement runs, so that an index can
# be searched by it.
_SINCE: Final = """
COALESCE(%(created_after)s::timestamp, (statement_timestamp() AT TIME ZONE 'utc') - %(listed_for)s::interval)"""
_LISTED: Final = f"org_id = %(tenant)s AND created_at >= {_SINCE}"
_LISTED_OF_PAGE: Final = f"org_id = %(tenant)s AND {{created_at}} >= {_SINCE}"

# By the names of the fields of ComposeFilters and ComposesQuery. `created_after` is part of `_LISTED`. The subselect
# converts the pattern to lower case once, by the same rules as the trigger; the comparison is one of code points.
# `one_label` takes two thirds of the time of `labels`, which is one statement for any number of labels.
_CONDITIONS: Final = {
    "image_types": "image_type = ANY (%(image_types)s::text[])",
    "ignored": "image_type <> ALL (%(ignored)s::text[])",
    "architecture": "architecture = %(architecture)s::text",
    "distributions": "distribution = ANY (%(distributions)s::text[])",
    "blueprint": "blueprint_id = %(blueprint)s::uuid",
    "version": "blueprint_version = %(version)s::bigint",
    "blueprint_id": "blueprint_id = %(blueprint_id)s::uuid",
    "created_by": "created_by = %(created_by)s::text",
    "client_id": "client_id = %(client_id)s::text",
    "search": """lower_name LIKE (SELECT lower(%(search)s::text)) COLLATE "C" """,
    "statuses": "status = ANY (%(statuses)s::text[])",
    "labels": "label_hashes @> (SELECT compose_labels_hash(%(labels)s::text[]))",
    "one_label": "(SELECT (compose_labels_hash(%(labels)s::text[]))[1]) = ANY (label_hashes)",
    "created_before": "{created_at} < %(created_before)s::timestamp",
}
# Filters by which builds are counted without reading an entry of each.
_COUNTED_BY: Final = frozenset({"image_types", "ignored", "created_after"})
_FILTERS: Final = tuple(each.name for each in fields(ComposeFilters))
# The column and its type, by the name of an order.
_KEYS: Final = {"created_at": ("created_at", "timestamp"), "image_name": ("lower_name", "text")}
# How the statements of an order name the time, and a condition. Both keep the planner from reading the index of the
# other order and sorting all that it finds: no index is searched by an expression, and the one by name needs the
# condition.
_INDEX_CHOICE: Final = {
    "created_at": ("created_at", ""),
    "image_name": ("created_at + interval '0'", " AND lower_name >= ''"),
}

_COUNT: Final = f"SELECT count(*) FROM compose_list_entries WHERE {_LISTED}"  # noqa: S608 - constants, as all below
_PAGE_IDS: Final = """
SELECT job_id, {column} FROM compose_list_entries WHERE {conditions}
ORDER BY {column} {direction}, job_id {direction}
LIMIT %(limit)s OFFSET %(offset)s
"""
# Whether there are builds on the other side of the cursor, its own build included.
_PROBE: Final = """
SELECT EXISTS (
    SELECT 1 FROM compose_list_entries WHERE {conditions}
    ORDER BY {column} {direction}, job_id {direction} LIMIT 1
)
"""
# The counts of whole periods of six hours, those of 20 minutes in the period in which the list begins, and the entries
# of the 20 minutes in which it begins.
_COUNT_BY_TYPE: Final = f"""
SELECT (
    SELECT COALESCE(sum(count), 0)::bigint FROM compose_counts
    WHERE org_id = %(tenant)s AND period > {_SINCE}{{conditions}}
) + (
    SELECT COALESCE(sum(count), 0)::bigint FROM compose_fine_counts
    WHERE org_id = %(tenant)s AND period > {_SINCE}
      AND period < compose_counts_period({_SINCE}) + interval '6 hours'{{conditions}}
) + (
    SELECT count(*) FROM compose_list_entries
    WHERE {_LISTED} AND created_at < compose_fine_counts_period({_SINCE}) + interval '20 minutes'{{conditions}}
)
"""  # noqa: S608

# The count of a list without filters.
COUNT: Final = _COUNT_BY_TYPE.format(conditions="")


@dataclass(frozen=True, slots=True)
class ListStatements:
    """The statements of one list: its count, the ids and keys of its page, and whether there are builds before it.

    `order` is the order of the page, by the columns of `ids`; `key` is the column of `ids` by which it is sorted.
    `probe` is None for a page without a cursor.
    """

    count: str
    ids: str
    order: str
    key: str
    probe: str | None


def values_of(query: ComposesQuery) -> dict[str, Any]:
    """Return the parameters of all statements of a list."""
    filters = query.filters
    return {
        **{name: getattr(filters, name) for name in _FILTERS},
        "tenant": query.tenant,
        "listed_for": LISTED_FOR,
        "image_types": list(filters.image_types),
        "distributions": list(filters.distributions),
        "statuses": list(filters.statuses),
        "labels": list(filters.labels),
        "search": None if filters.search is None else f"%{escape_like(filters.search)}%",
        "ignored": list(query.ignored),
        "blueprint": query.blueprint,
        "version": query.version,
        **page_values(query),
    }


def count_statement(query: ComposesQuery) -> str:
    """Return the statement that counts the builds of a list."""
    applied = _applied(query)
    conditions = _conditions(applied).format(created_at="created_at")
    if applied <= _COUNTED_BY:
        return _COUNT_BY_TYPE.format(conditions=conditions)
    return _COUNT + conditions


def list_statements(query: ComposesQuery) -> ListStatements:
    """Return the statements of a list; `values_of` returns their parameters."""
    descending = is_descending(query.sort)
    column, type_ = _KEYS[query.sort.removeprefix("-")]
    created_at, condition = _INDEX_CHOICE[query.sort.removeprefix("-")]
    conditions = (_LISTED_OF_PAGE + condition + _conditions(_applied(query))).format(created_at=created_at)
    order = f"page.{column} {direction(descending)}, page.job_id {direction(descending)}"
    if query.cursor is None:
        ids = _PAGE_IDS.format(column=column, conditions=conditions, direction=direction(descending))
        return ListStatements(count_statement(query), ids, order, column, None)
    reads_down = reads_descending(query)
    beyond, opposite = ("<", ">=") if reads_down else (">", "<=")
    # The first condition lets the index be entered at the cursor: PostgreSQL would enter it at the limit of the age.
    position = (
        f"\n  AND {column} {{0[0]}}= %(key)s::{type_} AND ({column}, job_id) {{0}} (%(key)s::{type_}, %(id)s::uuid)"
    )
    ids = _PAGE_IDS.format(
        column=column, conditions=conditions + position.format(beyond), direction=direction(reads_down)
    )
    probe = _PROBE.format(
        column=column, conditions=conditions + position.format(opposite), direction=direction(not reads_down)
    )
    return ListStatements(count_statement(query), ids, order, column, probe)


def is_plain(query: ComposesQuery) -> bool:
    """Return whether a list has no filter, the default order and no cursor: it does not need this module."""
    return not query.filters.applied() and query.sort == DEFAULT_SORT and query.cursor is None


def _applied(query: ComposesQuery) -> frozenset[str]:
    """Return the names of all applied filters: those of ComposeFilters, and `blueprint`, `version`, `ignored`."""
    others = {name for name in ("blueprint", "version") if getattr(query, name) is not None}
    applied = query.filters.applied() | others | ({"ignored"} if query.ignored else set())
    return applied - {"labels"} | {"one_label"} if len(query.filters.labels) == 1 else applied


def _conditions(applied: frozenset[str]) -> str:
    return "".join(f"\n  AND {condition}" for name, condition in _CONDITIONS.items() if name in applied)
