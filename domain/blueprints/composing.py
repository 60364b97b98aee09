"""The compose requests that a blueprint stands for (contract: composeBlueprint)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from domain.blueprints.blueprint import Blueprint

_LONGEST_IMAGE_NAME: Final = 100
_LONGEST_DESCRIPTION: Final = 250


def compose_requests(
    blueprint: Blueprint, client_id: str, image_types: Sequence[str] | None
) -> tuple[dict[str, Any], ...]:
    """One ComposeRequest for each image of a blueprint, or for those of these types; a bootc one names no distribution.

    Old blueprints may have longer names than an image.
    """
    body = blueprint.body
    source = "bootc" if "bootc" in body else "distribution"
    common = {
        "image_name": blueprint.name[:_LONGEST_IMAGE_NAME],
        "image_description": blueprint.description[:_LONGEST_DESCRIPTION],
        "client_id": client_id,
        "customizations": blueprint.customizations,
        **({source: body[source]} if source in body else {}),
    }
    return tuple(
        {**common, "image_requests": [image]}
        for image in blueprint.image_requests
        if image_types is None or image.get("image_type") in image_types
    )
