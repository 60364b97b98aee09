"""Creates answers with one page of a list (openapi.yaml, schemas ListResponseMeta and ListResponseLinks)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from flask import Response

from domain.paging import Page
from image_builder.http.answers import json_answer

Filters = Mapping[str, str | Sequence[str]]


def page_answer(
    path: str, page: Page, count: int, filters: Filters, data: list[Any], *, key_order: Sequence[str] | None = None
) -> Response:
    """Create the answer with one page of a list of `count` entries.

    `path` and `filters` (query parameters) are those of the request; links repeat them. `data` are the entries of the
    page. `key_order` is the order of the query's keys in links, with `limit` and `offset`; without it, the order is
    alphabetical.
    """
    first, last = page_links(path, page, count, filters, key_order)
    return json_answer({"meta": {"count": count}, "links": {"first": first, "last": last}, "data": data})


def page_links(
    path: str, page: Page, count: int, filters: Filters, key_order: Sequence[str] | None = None
) -> tuple[str, str]:
    """Create the links (path and query) to the first and the last page. The arguments are those of `page_answer`."""
    last_offset = (count - 1) // page.limit * page.limit if count > page.limit else 0

    def link(offset: int) -> str:
        query = {**filters, "limit": str(page.limit), "offset": str(offset)}
        return f"{path}?{urlencode([(key, query[key]) for key in key_order or sorted(query)], doseq=True)}"

    return link(0), link(last_offset)
