"""How much memory the start of builds takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from domain.json_size import JsonCounts
from domain.sharing import once_for_each

# Measured, in bytes. Of any start; for each byte of a document as JSON; for each object and list in it, of which
# several are made on the way.
_ANY_START: Final = 256 * 1024
_FOR_EACH_BYTE: Final = 4
_FOR_EACH_CONTAINER: Final = 1024
# For each byte that is written out to be sent to the composer or the database, with the libraries' own copies; at most
# so many bytes are written out at once for one request.
_WRITTEN: Final = 3
_MOST_WRITTEN: Final = 6 * 1024 * 1024

Json = Mapping[str, Any]


def memory_of(documents: Sequence[Json]) -> int:
    """Bytes that starting builds of these compose requests takes, including everything that is made of the documents.

    The documents share their customizations, as those of a blueprint do: what is made of them exists once.
    """
    largest = _largest(documents)
    containers = max(map(_containers, documents), default=0)
    written = min(len(documents), written_at_once(documents)) * largest
    return _ANY_START + _FOR_EACH_BYTE * largest + _FOR_EACH_CONTAINER * containers + _WRITTEN * written


def most_memory_of(blueprint: JsonCounts) -> int:
    """Bytes that `memory_of` the compose requests of a blueprint with this document comes to at most."""
    return (
        _ANY_START
        + _FOR_EACH_BYTE * blueprint.size
        + _FOR_EACH_CONTAINER * blueprint.containers
        + _WRITTEN * max(_MOST_WRITTEN, blueprint.size)
    )


def written_at_once(documents: Sequence[Json]) -> int:
    """How many of these requests may be on their way to the composer at the same time."""
    return max(1, _MOST_WRITTEN // max(1, _largest(documents)))


def _largest(documents: Sequence[Json]) -> int:
    """The bytes of the largest document as JSON."""
    size = once_for_each(_size)
    return max((sum(size(value) for value in document.values()) for document in documents), default=0)


def _size(value: Any) -> int:
    try:
        return len(orjson.dumps(value))
    except TypeError:  # nested too deeply: it will be refused
        return 0


def _containers(document: Json) -> int:
    """How many objects and lists a document has."""
    number = 0
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        number += 1
        children = value.values() if isinstance(value, Mapping) else value
        waiting.extend(child for child in children if isinstance(child, Mapping | list))
    return number
