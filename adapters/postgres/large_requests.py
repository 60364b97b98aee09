"""Large requests of builds: read a few at a time, so that no statement and no answer of the server grows large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import psycopg

from adapters.postgres.connection import PostgresDatabase
from domain.composes import RequestForm, RequestSizes

# Bytes of a request: what is larger has its forms stored beside it (migration 0020).
LARGE: Final = 16 * 1024
# Bytes that one statement goes through, and bytes of compressed requests, where no more is known of their sizes.
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

# Rows from before the sizes, or restored without the trigger, have neither size nor forms. What is made of them here
# has to be cheap; the service brings it into the form that is answered.
_MEASURE: Final = f"""
SELECT sizes.job_id, octet_length(sizes.as_text),
       CASE WHEN octet_length(sizes.as_text) <= {LARGE} THEN sizes.as_text END
FROM unnest(%(ids)s::uuid[]) wanted (id)
CROSS JOIN LATERAL (
    SELECT job_id::text, request::text AS as_text FROM composes WHERE job_id = wanted.id LIMIT 1
) sizes
"""  # noqa: S608 - a constant

_READ: Final = f"""
SELECT large.*
FROM unnest(%(ids)s::uuid[], %(forms)s::integer[]) wanted (id, form)
CROSS JOIN LATERAL (
    SELECT job_id::text, request_size IS NOT NULL, convert_to(COALESCE(CASE
        WHEN wanted.form = {RequestForm.WHOLE.value} THEN COALESCE(request_shown, request::text)
        WHEN wanted.form = {RequestForm.WITHOUT_DATA.value} THEN request_without_data
        WHEN request_size IS NOT NULL THEN request_summary
        WHEN jsonb_typeof(request) = 'object' AND octet_length((request - 'customizations')::text) <= {LARGE}
            THEN (request - 'customizations')::text
    END, '{{}}'), 'UTF8')
    FROM composes WHERE job_id = wanted.id
    LIMIT 1
) large
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class LargeRequest:
    """A request that is read by itself; `has_forms`: its forms are stored beside it, else they are made when read."""

    sizes: RequestSizes
    has_forms: bool

    @classmethod
    def of(cls, whole: int, without_data: int | None, summary: int | None) -> Self:
        """A request with forms of these sizes, None for one that it does not have."""
        smaller = whole if without_data is None else without_data
        return cls(RequestSizes(whole, smaller, smaller if summary is None else summary), has_forms=True)

    @classmethod
    def without_forms(cls, whole: int) -> Self:
        """A request of which nothing but its size is known; of a summary it is known that it is small."""
        return cls(RequestSizes(whole, whole, LARGE), has_forms=False)

    def cost(self, form: RequestForm) -> int:
        """How many bytes the server goes through to read this form."""
        return self.sizes.of(form if self.has_forms else RequestForm.WHOLE)


def measure(database: PostgresDatabase, composes: Sequence[str]) -> tuple[dict[str, str], dict[str, LargeRequest]]:
    """The texts of the small ones among the requests of these composes, and the others, by their ids.

    Raises UnavailableError.
    """
    small: dict[str, str] = {}
    large: dict[str, LargeRequest] = {}
    unknown: dict[str, int] = {}
    for compose, stored, *sizes in _rows(database, _SIZES, {"ids": composes}):
        if sizes[0] is None:
            unknown[compose] = stored
        else:
            large[compose] = LargeRequest.of(*sizes)
    for ids in _batches(unknown.items(), _STORED_BATCH):
        for compose, size, text in _rows(database, _MEASURE, {"ids": ids}):
            if text is not None:
                small[compose] = text
            else:
                large[compose] = LargeRequest.without_forms(size)
    return small, large


def read(
    database: PostgresDatabase, requests: Mapping[str, LargeRequest], forms: Mapping[str, RequestForm]
) -> dict[str, str | bytes]:
    """These requests, each in its form, as KeptCompose has them; all by the ids of their composes.

    Raises UnavailableError.
    """
    found: dict[str, str | bytes] = {}
    costs = ((compose, request.cost(forms[compose])) for compose, request in requests.items())
    for ids in _batches(costs, _BATCH):
        values = {"ids": ids, "forms": [forms[compose].value for compose in ids]}
        for compose, as_answered, text in _rows(database, _READ, values, binary=True):
            found[compose] = text if as_answered else text.decode()
    return found


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
