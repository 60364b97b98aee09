"""Reads large requests of composes in small batches, so that no statement and no answer of the server grows large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import psycopg

from adapters.postgres.connection import PostgresDatabase
from domain.composes import RequestForm, RequestSizes

# Bytes of a request above which the trigger of migration 0020 stores shorter forms beside it.
LARGE: Final = 16 * 1024
# Bytes of JSON text that one statement reads.
_BATCH: Final = 4 * 1024 * 1024
# Bytes of compressed requests that one statement reads if the sizes of their texts are not known.
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

# Rows from before migration 0020, or restored without its trigger, have neither a size nor shorter forms. The statement
# below therefore makes only forms that are cheap to make; the service brings them into the form that is shown.
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
    """A large request, which is read by itself.

    `has_forms`: its shorter forms are stored; otherwise the statement makes them from the whole request.
    """

    sizes: RequestSizes
    has_forms: bool

    @classmethod
    def with_forms(cls, whole: int, without_data: int | None, summary: int | None) -> Self:
        """Return a request with stored forms of these sizes in bytes, None for a form that it does not have."""
        smaller = whole if without_data is None else without_data
        return cls(RequestSizes(whole, smaller, smaller if summary is None else summary), has_forms=True)

    @classmethod
    def without_forms(cls, whole: int) -> Self:
        """Return a request of this size in bytes without stored forms; its summary has at most LARGE bytes."""
        return cls(RequestSizes(whole, whole, LARGE), has_forms=False)

    def cost(self, form: RequestForm) -> int:
        """Return how many bytes the server reads for this form."""
        return self.sizes.size_of(form if self.has_forms else RequestForm.WHOLE)


def measure(database: PostgresDatabase, composes: Sequence[str]) -> tuple[dict[str, str], dict[str, LargeRequest]]:
    """Return the texts of small requests and the sizes of large ones, both by compose id.

    A compose that was removed meanwhile is in neither. Raises UnavailableError.
    """
    small: dict[str, str] = {}
    large: dict[str, LargeRequest] = {}
    unknown: dict[str, int] = {}
    for compose, stored, *sizes in _rows(database, _SIZES, {"ids": composes}):
        if sizes[0] is None:
            unknown[compose] = stored
        else:
            large[compose] = LargeRequest.with_forms(*sizes)
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
    """Return these requests, each in the form that `forms` says, as in StoredCompose.request; all by compose id.

    Raises UnavailableError.
    """
    found: dict[str, str | bytes] = {}
    costs = ((compose, request.cost(forms[compose])) for compose, request in requests.items())
    for ids in _batches(costs, _BATCH):
        values = {"ids": ids, "forms": [forms[compose].value for compose in ids]}
        for compose, as_answered, text in _rows(database, _READ, values, binary=True):
            found[compose] = text if as_answered else text.decode()
    return found


def _batches(items: Iterable[tuple[str, int]], max_bytes: int) -> Iterator[list[str]]:
    """Return the ids of `items` (id and size) in their order, in batches of at most `max_bytes` but at least one id."""
    batch: list[str] = []
    total = 0
    for compose, size in items:
        if batch and total + size > max_bytes:
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

    return database.run_with_retry(work)
