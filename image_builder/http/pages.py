"""Creates answers with one page of a list (openapi.yaml, schemas ListResponseMeta and ListResponseLinks)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlencode

from domain.errors import InvalidRequestError
from domain.paging import Cursor, Page
from image_builder.http.answers import Answer, json_answer

# A value that a query string holds unchanged.
_PLAIN: Final = re.compile(r"[0-9A-Za-z_.~-]*")

Filters = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The cursors of the previous and the next page as text; None if there is no such page.

    `backward` says that the page was requested by the cursor of a `prev` link.
    """

    previous: str | None = None
    next: str | None = None
    backward: bool = False

    @classmethod
    def of(cls, tenant: str, previous: Cursor | None, following: Cursor | None, cursor: Cursor | None) -> Self:
        """Return the neighbours of a page of this tenant that was requested by `cursor`."""
        return cls(
            None if previous is None else previous.encode(tenant),
            None if following is None else following.encode(tenant),
            cursor is not None and cursor.backward,
        )


def parse_cursor(text: str | None, offset: int, tenant: str, sort: str) -> Cursor | None:
    """Return the cursor of a request for a list, None without one.

    Raises InvalidRequestError for a cursor that is not from a link of the list, and for a cursor with an offset.
    """
    if text is None:
        return None
    if offset:
        raise InvalidRequestError("offset: cannot be combined with cursor")
    return Cursor.parse(text, tenant, sort)


def page_answer(
    path: str,
    page: Page,
    count: int,
    filters: Filters,
    data: list[Any],
    *,
    key_order: Sequence[str] | None = None,
    neighbours: Neighbours | None = None,
) -> Answer:
    """Create the answer with one page of a list of `count` entries.

    `path` and `filters` (query parameters) are those of the request; links repeat them. `data` are the entries of the
    page. `key_order` is the order of the query's keys in links, with `limit` and `offset`; without it, the order is
    alphabetical. With `neighbours`, the answer has links to the previous and the next page.
    """
    first, last = page_links(path, page, count, filters, key_order)
    links = {"first": first, "last": last}
    if neighbours is not None:
        links.update(_neighbour_links(path, page, filters, neighbours))
        if count and not data:  # the list has become shorter, and this page is outside it
            links.update({"next": first} if neighbours.backward else {"prev": last})
    return json_answer({"meta": {"count": count}, "links": links, "data": data})


def _neighbour_links(path: str, page: Page, filters: Filters, neighbours: Neighbours) -> dict[str, str]:
    cursors = {"prev": neighbours.previous, "next": neighbours.next}
    return {
        name: _link(path, {**filters, "limit": str(page.limit), "cursor": cursor})
        for name, cursor in cursors.items()
        if cursor is not None
    }


def _link(path: str, query: Filters, key_order: Sequence[str] | None = None) -> str:
    pairs = [(key, query[key]) for key in key_order or sorted(query)]
    # `urlencode` takes ten times as long, and most links have only numbers.
    if all(isinstance(value, str) and _PLAIN.fullmatch(value) for _, value in pairs):
        return f"{path}?{'&'.join(f'{key}={value}' for key, value in pairs)}"
    return f"{path}?{urlencode(pairs, doseq=True)}"


def page_links(
    path: str, page: Page, count: int, filters: Filters, key_order: Sequence[str] | None = None
) -> tuple[str, str]:
    """Create the links (path and query) to the first and the last page. The arguments are those of `page_answer`."""
    last_offset = (count - 1) // page.limit * page.limit if count > page.limit else 0

    def link(offset: int) -> str:
        return _link(path, {**filters, "limit": str(page.limit), "offset": str(offset)}, key_order)

    return link(0), link(last_offset)
