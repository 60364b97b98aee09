"""Pages of a list, and the links to its first and last (contract: ListResponseLinks)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Page:
    """`limit` entries from number `offset` on, counted from 0."""

    limit: int
    offset: int


@dataclass(frozen=True, slots=True)
class Links:
    """Path and query of a list's first and last page."""

    first: str
    last: str


def links(
    path: str,
    page: Page,
    count: int,
    filters: Mapping[str, str | Sequence[str]],
    order: Sequence[str] | None = None,
) -> Links:
    """The links of a list of `count` entries, all filters repeated.

    Keys are in alphabetical order, or in that of `order`, which names each of them, `limit` and `offset` too.
    """
    last = (count - 1) // page.limit * page.limit if count > page.limit else 0

    def at(offset: int) -> str:
        query = {**filters, "limit": str(page.limit), "offset": str(offset)}
        return f"{path}?{urlencode([(key, query[key]) for key in order or sorted(query)], doseq=True)}"

    return Links(first=at(0), last=at(last))
