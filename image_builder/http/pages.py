"""Answers of lists: `meta`, `links` and `data` (openapi.yaml, ListResponseMeta and ListResponseLinks)."""

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
    """One page of a list of `count` entries; `path` and `filters` are those of the request.

    `key_order` is the order of the keys in links' queries, `limit` and `offset` among them; without it, they are in
    alphabetical order.
    """
    first, last = page_links(path, page, count, filters, key_order)
    return json_answer({"meta": {"count": count}, "links": {"first": first, "last": last}, "data": data})


def page_links(
    path: str, page: Page, count: int, filters: Filters, key_order: Sequence[str] | None = None
) -> tuple[str, str]:
    """Path and query of the first and the last page. Arguments as for `page_answer`."""
    last_offset = (count - 1) // page.limit * page.limit if count > page.limit else 0

    def link(offset: int) -> str:
        query = {**filters, "limit": str(page.limit), "offset": str(offset)}
        return f"{path}?{urlencode([(key, query[key]) for key in key_order or sorted(query)], doseq=True)}"

    return link(0), link(last_offset)
