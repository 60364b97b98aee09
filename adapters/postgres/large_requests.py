"""Large requests of builds: read a few at a time, so that no statement and no answer of the server grows large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import psycopg

from adapters.postgres.connection import PostgresDatabase
from domain.composes import RequestForm, RequestSizes

# Bytes of a request's text: what is larger has its forms stored beside it (migration 0020).
LARGE: Final = 16 * 1024
# Bytes that one statement reads: of text, and of what may be compressed, where the size of the text is not known.
_BATCH: Final = 4 * 1024 * 1024
_STORED_BATCH: Final = 128 * 1024

_SIZES: Final = """
SELECT sizes.*
FROM unnest(%(ids)s::uuid[]) wanted (id)
CROSS JOIN LATERAL (
    SELECT job_id::text, pg_column_size(request), request_size, octet_length(request_without_data),
           octet_length(request_summary)
    FROM composes WHERE job_id = wanted.id
    LIMIT 1
) sizes
"""

# Rows from before the sizes, or restored without the trigger, have none.
_MEASURE: Final = f"""
SELECT sizes.*
FROM unnest(%(ids)s::uuid[]) wanted (id)
CROSS JOIN LATERAL (
    SELECT composes.job_id::text, CASE WHEN forms.size <= {LARGE} THEN composes.request::text END,
           forms.size, octet_length(forms.without_data), octet_length(forms.summary)
    FROM composes CROSS JOIN LATERAL compose_request_forms(composes.request) forms
    WHERE composes.job_id = wanted.id
    LIMIT 1
) sizes
"""  # noqa: S608 - a constant

_READ: Final = """
SELECT large.*
FROM unnest(%(ids)s::uuid[], %(forms)s::integer[]) wanted (id, form)
CROSS JOIN LATERAL (
    SELECT composes.job_id::text, convert_to(CASE wanted.form
        WHEN 0 THEN COALESCE(compose_request_shown(composes.request, whole.as_text)::text, whole.as_text)
        WHEN 1 THEN COALESCE(composes.request_without_data, (compose_request_forms(composes.request)).without_data)
        ELSE COALESCE(composes.request_summary, (compose_request_forms(composes.request)).summary)
    END, 'UTF8')
    FROM composes
    CROSS JOIN LATERAL (SELECT CASE WHEN wanted.form = 0 THEN composes.request::text END AS as_text OFFSET 0) whole
    WHERE composes.job_id = wanted.id
    LIMIT 1
) large
"""


def whole_only(size: int) -> RequestSizes:
    """The sizes of a request of which there is only the whole."""
    return _sizes(size, None, None)


def measure(database: PostgresDatabase, composes: Sequence[str]) -> tuple[dict[str, str], dict[str, RequestSizes]]:
    """The texts of the small ones among the requests of these composes, and the sizes of the others, by their ids.

    Raises UnavailableError.
    """
    small: dict[str, str] = {}
    large: dict[str, RequestSizes] = {}
    unknown: dict[str, int] = {}
    for compose, stored, *found in _rows(database, _SIZES, {"ids": composes}):
        if found[0] is None:
            unknown[compose] = stored
        else:
            large[compose] = _sizes(*found)
    for ids in _batches(unknown.items(), _STORED_BATCH):
        for compose, text, *found in _rows(database, _MEASURE, {"ids": ids}):
            if text is not None:
                small[compose] = text
            else:
                large[compose] = _sizes(*found)
    return small, large


def read(database: PostgresDatabase, wanted: Mapping[str, tuple[RequestForm, int]]) -> dict[str, bytes]:
    """These requests, each in its form, as they are answered; UTF-8.

    `wanted` has the form and its size in bytes, by the id of the compose. Raises UnavailableError.
    """
    found: dict[str, bytes] = {}
    for ids in _batches(((compose, size) for compose, (_, size) in wanted.items()), _BATCH):
        forms = [int(wanted[compose][0]) for compose in ids]
        found.update(_rows(database, _READ, {"ids": ids, "forms": forms}, binary=True))
    return found


def _sizes(whole: int, without_data: int | None, summary: int | None) -> RequestSizes:
    smaller = whole if without_data is None else without_data
    return RequestSizes(whole, smaller, smaller if summary is None else summary)


def _batches(items: Iterable[tuple[str, int]], most: int) -> Iterator[list[str]]:
    """The ids in their order, as many at a time as have at most so many bytes, but at least one."""
    batch: list[str] = []
    total = 0
    for compose, size in items:
        if batch and total + size > most:
            yield batch
            batch, total = [], 0
        batch.append(compose)
        total += size
    if batch:
        yield batch


def _rows(
    database: PostgresDatabase, statement: str, values: Mapping[str, Any], *, binary: bool = False
) -> list[tuple[Any, ...]]:
    def work(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
        return connection.execute(statement.encode(), values, binary=binary).fetchall()

    return database.again(work)
