"""Histories with large requests, and how lists show these."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from adapters.postgres.composes import PostgresComposes
from adapters.postgres.connection import PostgresDatabase
from domain.composes import ComposesQuery, ListedCompose
from domain.paging import Page
from tests.support.builders import compose_request
from tests.support.databases import Parameters, query

MiB = 1024 * 1024
LIMIT = 2 * MiB


@contextmanager
def history(parameters: Parameters, largest_list: int = LIMIT) -> Iterator[PostgresComposes]:
    """The history in a database, whose lists have at most so many bytes of requests."""
    pool = PostgresDatabase(parameters, size=2)
    pool.open()
    try:
        yield PostgresComposes(pool, largest_list)
    finally:
        pool.close()


def with_files(*sizes: int, **customizations: Any) -> dict[str, Any]:
    """A request with files of these sizes in bytes."""
    files = [{"path": f"/etc/{number}", "data": "d" * size} for number, size in enumerate(sizes)]
    return compose_request(customizations={"files": files, **customizations})


def without_data(request: dict[str, Any]) -> dict[str, Any]:
    """The request without the contents of its files."""
    files = [{"path": each["path"]} for each in request["customizations"]["files"]]
    return {**request, "customizations": {**request["customizations"], "files": files}}


def listed(composes: PostgresComposes, tenant: str, **fields: Any) -> tuple[ListedCompose, ...]:
    """The first page of an organization's composes."""
    return composes.find_page(ComposesQuery(tenant, Page(100, 0), **fields)).composes


def shown_in(found: tuple[ListedCompose, ...]) -> list[Any]:
    """The requests of a page."""
    return [json.loads(each.request) for each in found]


def forms(parameters: Parameters, compose: UUID) -> tuple[int | None, Any, Any]:
    """The size of a request, and its short forms as JSON."""
    ((size, *found),) = query(
        parameters,
        "SELECT request_size, request_without_data, request_summary FROM composes WHERE job_id = %s",
        compose,
    )
    without, summary = (None if each is None else json.loads(each) for each in found)
    return size, without, summary
