"""The parts of a compose request without problems, which are checked further while other parts have some."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from domain.compose.request import Json

# The parts of a ComposeRequest (openapi.yaml) that may be missing; of the upload target only the options can be.
_OPTIONAL_PART: Final = re.compile(
    r"customizations\.([^.\[]+)"
    r"|image_requests\[0\]\.(size|ostree|snapshot_date|content_template|upload_request)"
    r"|(image_name|image_description|labels)",
    re.ASCII,
)
_UPLOAD: Final = "upload_request"


def remove_parts(document: Json, paths: Iterable[str]) -> tuple[Json, frozenset[str]]:
    """Return a ComposeRequest without the optional parts that contain `paths`, and the names of the removed parts.

    The document may be invalid by the schema. Paths in other parts are ignored.
    """
    customizations: set[str] = set()
    of_image: set[str] = set()
    others: set[str] = set()
    for path in paths:
        match = _OPTIONAL_PART.match(path)
        if match is not None:
            for names, name in zip((customizations, of_image, others), match.groups(), strict=True):
                names.update(() if name is None else (name,))
    sound = {name: value for name, value in document.items() if name not in others}
    if isinstance(document.get("customizations"), dict):
        sound["customizations"] = _without(document["customizations"], customizations)
    images = document.get("image_requests")
    if of_image and isinstance(images, list) and images and isinstance(images[0], dict):
        sound["image_requests"] = [_remove_from_image(images[0], of_image), *images[1:]]
    return sound, frozenset(customizations | of_image | others)


def _remove_from_image(image: Json, names: set[str]) -> dict[str, Any]:
    sound = _without(image, names - {_UPLOAD})
    if _UPLOAD in names and isinstance(image.get(_UPLOAD), dict):
        sound[_UPLOAD] = {**image[_UPLOAD], "options": {}}
    return sound


def _without(document: Json, names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}
