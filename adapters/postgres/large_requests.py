"""Reads large requests of composes in small batches, which limits the size of each statement's result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from adapters.postgres.connection import PostgresDatabase
from domain.composes import RequestForm, RequestSizes

# Requests of more than this many bytes are large: the trigger of migration 0020 stores shorter forms of them.
LARGE: Final = 16 * 1024
# Bytes of JSON text that one statement reads at most.
_BATCH: Final = 4 * 1024 * 1024
# Bytes of compressed requests that one statement reads at most if the sizes of their texts are unknown.
_STORED_BATCH: Final = 128 * 1024

_SIZES: Final = """
SELECT sizes.*
FROM unnest(%(ids)s::uuid[]) requested (id)
CROSS JOIN LATERAL (
    SELECT job_id::text, pg_column_size(request), request_size, octet_length(request_without_data),
           octet_length(request_summary)
    FROM composes WHERE job_id = requested.id
    LIMIT 1
) sizes
"""

# Rows from before migration 0020, or restored without its trigger, have neither a size nor shorter forms. The statement
# below therefore computes only forms that cost little; the service converts them into the form that responses show.
_MEASURE: Final = f"""
SELECT sizes.job_id, octet_length(sizes.as_text),
       CASE WHEN octet_length(sizes.as_text) <= {LARGE} THEN sizes.as_text END
FROM unnest(%(ids)s::uuid[]) requested (id)
CROSS JOIN LATERAL (
    SELECT job_id::text, request::text AS as_text FROM composes WHERE job_id = requested.id LIMIT 1
) sizes
"""  # noqa: S608 - a constant

_READ: Final = f"""
SELECT large.*
FROM unnest(%(ids)s::uuid[], %(forms)s::integer[]) requested (id, form)
CROSS JOIN LATERAL (
    SELECT job_id::text, request_size IS NOT NULL, convert_to(COALESCE(CASE
        WHEN requested.form = {RequestForm.WHOLE.value} THEN COALESCE(request_shown, request::text)
        WHEN requested.form = {RequestForm.WITHOUT_DATA.value} THEN request_without_data
        WHEN request_size IS NOT NULL THEN request_summary
        WHEN jsonb_typeof(request) = 'object' AND octet_length((request - 'customizations')::text) <= {LARGE}
            THEN (request - 'customizations')::text
    END, '{{}}'), 'UTF8')
    FROM composes WHERE job_id = requested.id
    LIMIT 1
) large
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class LargeRequest:
    """The sizes of a large request.

    `has_forms`: its shorter forms are stored; otherwise the statement computes them from the whole request.
    """

    sizes: RequestSizes
    has_forms: bool

    @classmethod
    def with_forms(cls, whole: int, without_data: int | None, summary: int | None) -> Self:
        """Return a request with stored forms of these sizes in bytes, None for a form that it does not have."""
        shorter = whole if without_data is None else without_data
        return cls(RequestSizes(whole, shorter, shorter if summary is None else summary), has_forms=True)

    @classmethod
    def without_forms(cls, whole: int) -> Self:
        """Return a request of this size in bytes without stored forms; its summary has at most LARGE bytes."""
        return cls(RequestSizes(whole, whole, LARGE), has_forms=False)

    def get_read_size(self, form: RequestForm) -> int:
        """Return how many bytes the server reads for this form."""
        return self.sizes.size_of(form if self.has_forms else RequestForm.WHOLE)


def measure(database: PostgresDatabase, composes: Sequence[str]) -> tuple[dict[str, str], dict[str, LargeRequest]]:
    """Return the texts of small requests and the sizes of large ones, both by compose id.

    A compose that was removed in the meantime is in neither. Raises UnavailableError.
    """
    small: dict[str, str] = {}
    large: dict[str, LargeRequest] = {}
    unknown: dict[str, int] = {}
    for compose, stored, *sizes in _fetch_rows(database, _SIZES, {"ids": composes}):
        if sizes[0] is None:
            unknown[compose] = stored
        else:
            large[compose] = LargeRequest.with_forms(*sizes)
    for ids in _split_into_batches(unknown.items(), _STORED_BATCH):
        for compose, size, text in _fetch_rows(database, _MEASURE, {"ids": ids}):
            if text is not None:
                small[compose] = text
            else:
                large[compose] = LargeRequest.without_forms(size)
    return small, large


def read(
    database: PostgresDatabase, requests: Mapping[str, LargeRequest], forms: Mapping[str, RequestForm]
) -> dict[str, str | bytes]:
    """Return these requests by compose id, each in its form of `forms`, as in StoredCompose.request.

    Raises UnavailableError.
    """
    texts: dict[str, str | bytes] = {}
    sizes = ((compose, request.get_read_size(forms[compose])) for compose, request in requests.items())
    for ids in _split_into_batches(sizes, _BATCH):
        values = {"ids": ids, "forms": [forms[compose].value for compose in ids]}
        for compose, is_response_form, text in _fetch_rows(database, _READ, values, binary=True):
            texts[compose] = text if is_response_form else text.decode()
    return texts


def _split_into_batches(items: Iterable[tuple[str, int]], max_bytes: int) -> Iterator[list[str]]:
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


def _fetch_rows(
    database: PostgresDatabase, statement: str, values: Mapping[str, Any], *, binary: bool = False
) -> list[tuple[Any, ...]]:
    return database.run_with_retry(lambda connection: connection.fetch(statement, values, binary=binary))
