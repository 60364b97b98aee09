"""Rules for blueprints that the schema in openapi.yaml does not express; all violations are reported together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final

from domain.blueprints.blueprint import Json
from domain.compose.customization_rules import find_violations
from domain.compose.paths import is_of_ostree
from domain.compose.sizes import parse_size
from domain.errors import RulesViolatedError, Violation

_MIB: Final = 1024**2


def check(document: Json, *, stored: Json | None = None) -> None:
    """Check a document that is a valid CreateBlueprintRequest (openapi.yaml).

    `stored` is the body of the version that the document is to follow: its violations are no fault of the document.

    Raises RulesViolatedError, which counts all violations and lists the first ones, the name's first. Raises
    InvalidRequestError for a size that is no number of bytes.
    """
    _check_sizes(document["image_requests"], document["customizations"])
    tolerated = frozenset(_find_customization_violations(stored)) if stored is not None else frozenset()
    violations = chain(_check_name(document["name"]), _find_customization_violations(document))
    found = RulesViolatedError(each for each in violations if each not in tolerated)
    if found.total:
        raise found


def _find_customization_violations(body: Json) -> Iterator[Violation]:
    # One image of OSTree is enough: the blueprint's customizations are for all its images.
    of_ostree = any(is_of_ostree(image.get("image_type")) for image in body["image_requests"])
    customizations = body["customizations"]
    return chain(find_violations(customizations, of_ostree=of_ostree), _check_min_sizes(customizations))


def _check_min_sizes(customizations: Json) -> Iterator[Violation]:
    filesystems = customizations.get("filesystem")
    for entry in filesystems if isinstance(filesystems, list) else ():
        size = entry.get("min_size") if isinstance(entry, Mapping) else None
        if isinstance(size, int) and 0 < size < _MIB:
            fault = f'mountpoint "{entry.get("mountpoint")}" minimum size must be at least 1MB'
            yield Violation("filesystem rule violation", fault)


def _check_sizes(image_requests: Any, customizations: Json) -> None:
    for index, image in enumerate(image_requests):
        if "size" in image:
            parse_size(image["size"], f"image_requests[{index}].size")
    for index, filesystem in enumerate(customizations.get("filesystem", ())):
        parse_size(filesystem["min_size"], f"customizations.filesystem[{index}].min_size")


def _check_name(name: str) -> Iterator[Violation]:
    if not name.strip():
        yield Violation("blueprint name rule violation", "the blueprint's name must not be blank")
