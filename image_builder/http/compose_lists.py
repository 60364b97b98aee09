"""Parameters of lists of builds (openapi.yaml, operations getComposes and getBlueprintComposes)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from domain.compose_filters import DEFAULT_SORT, ComposeFilters
from domain.composes import ComposesQuery
from domain.identity import Identity
from domain.paging import Page
from image_builder.http.pages import parse_cursor
from image_builder.http.times import parse_time

# The parameters that links repeat, by the names of the handler's arguments.
_REPEATED: Final = {
    "ignore_image_types": "ignoreImageTypes",
    "blueprint_version": "blueprint_version",
    "image_type": "image_type",
    "architecture": "architecture",
    "distribution": "distribution",
    "blueprint_id": "blueprint_id",
    "created_by": "created_by",
    "client_id": "client_id",
    "search": "search",
    "created_after": "created_after",
    "created_before": "created_before",
    "status": "status",
    "label": "label",
    "sort": "sort",
}


@dataclass(frozen=True, slots=True)
class ListRequest:
    """The query of a request for a list, and the `filters` that the links of its answer repeat."""

    query: ComposesQuery
    filters: Mapping[str, Sequence[str]]


def list_request(
    identity: Identity, parameters: Mapping[str, Any], blueprint_version: int | None = None
) -> ListRequest:
    """Create the query from `parameters`, whose keys are the names of the handler's arguments.

    Raises InvalidRequestError for text that is not a time, a cursor that is not from a link of the list, and a cursor
    with an offset.
    """
    given = {**parameters, "blueprint_version": blueprint_version}
    sort = parameters["sort"] or DEFAULT_SORT
    cursor = parse_cursor(parameters["cursor"], parameters["offset"], identity.tenant, sort)
    filters = ComposeFilters(
        image_types=tuple(parameters["image_type"]),
        architecture=parameters["architecture"],
        distributions=tuple(parameters["distribution"]),
        blueprint_id=parameters["blueprint_id"],
        created_by=parameters["created_by"],
        client_id=parameters["client_id"],
        search=parameters["search"] or None,
        statuses=tuple(parameters["status"]),
        labels=tuple(parameters["label"]),
        created_after=parse_time("created_after", parameters["created_after"]),
        created_before=parse_time("created_before", parameters["created_before"]),
    )
    query = ComposesQuery(
        identity.tenant,
        Page(parameters["limit"], parameters["offset"]),
        tuple(parameters["ignore_image_types"]),
        filters=filters,
        sort=sort,
        cursor=cursor,
    )
    repeated = {name: _texts(given[argument]) for argument, name in _REPEATED.items()}
    return ListRequest(query, {name: texts for name, texts in repeated.items() if texts})


def _texts(value: Any) -> Sequence[str]:
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [str(value)]
