"""Estimates the memory that starting builds takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from domain.json_size import JsonCounts
from domain.sharing import cache_by_identity

# The following values are measured, in bytes.
# The memory that any start takes.
_PER_START: Final = 256 * 1024
# The memory for each byte of a document as JSON.
_PER_BYTE: Final = 4
# The memory for each object and list of a document, of which several copies are made.
_PER_CONTAINER: Final = 1024
# The memory for each byte that is serialized for the composer or the database, including the copies of libraries.
_PER_SERIALIZED_BYTE: Final = 3

# The largest number of bytes that are serialized at the same time for one request.
_MAX_SERIALIZED: Final = 6 * 1024 * 1024

Json = Mapping[str, Any]


def memory_of(documents: Sequence[Json]) -> int:
    """Return the bytes that starting builds of these compose requests takes, including all documents derived from them.

    The documents must share their customizations, as those of a blueprint do, so that derived parts exist once.
    """
    largest = _get_largest_size(documents)
    containers = max(map(_count_containers, documents), default=0)
    serialized = min(len(documents), max_submitted_at_once(documents)) * largest
    return _PER_START + _PER_BYTE * largest + _PER_CONTAINER * containers + _PER_SERIALIZED_BYTE * serialized


def most_memory_of(blueprint: JsonCounts) -> int:
    """Return the largest result of `memory_of` for the compose requests of a blueprint with this document, in bytes."""
    return (
        _PER_START
        + _PER_BYTE * blueprint.size
        + _PER_CONTAINER * blueprint.containers
        + _PER_SERIALIZED_BYTE * max(_MAX_SERIALIZED, blueprint.size)
    )


def max_submitted_at_once(documents: Sequence[Json]) -> int:
    """Return how many of these requests may be submitted to the composer at the same time."""
    if len(documents) <= 1:
        return 1
    return max(1, _MAX_SERIALIZED // max(1, _get_largest_size(documents)))


def _get_largest_size(documents: Sequence[Json]) -> int:
    """Return the size of the largest document as JSON, in bytes."""
    size = cache_by_identity(_size)
    return max((sum(size(value) for value in document.values()) for document in documents), default=0)


def _size(value: Any) -> int:
    try:
        return len(orjson.dumps(value))
    except TypeError:  # nested too deeply: the request will be refused
        return 0


def _count_containers(document: Json) -> int:
    """Return the number of objects and lists in a document."""
    number = 0
    pending: list[Any] = [document]
    while pending:
        value = pending.pop()
        number += 1
        children = value.values() if isinstance(value, Mapping) else value
        pending.extend(child for child in children if isinstance(child, Mapping | list))
    return number
