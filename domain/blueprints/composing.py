"""The compose requests that a blueprint stands for (contract: composeBlueprint)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from domain.blueprints.blueprint import Blueprint
from domain.errors import InvalidRequestError

_LONGEST_IMAGE_NAME: Final = 100
_LONGEST_DESCRIPTION: Final = 250
# As many as the contract lets a blueprint have; older programs allowed more.
MOST_IMAGES: Final = 40


def compose_requests(
    blueprint: Blueprint, client_id: str, image_types: Sequence[str] | None
) -> tuple[dict[str, Any], ...]:
    """One ComposeRequest for each image of a blueprint, or for those of these types; a bootc one names no distribution.

    Old blueprints may have longer names than an image.

    Raises InvalidRequestError for more than MOST_IMAGES.
    """
    images = [
        image for image in blueprint.image_requests if image_types is None or image.get("image_type") in image_types
    ]
    if len(images) > MOST_IMAGES:
        raise InvalidRequestError(
            f"{len(images)} images of the blueprint would be built, and at most {MOST_IMAGES} can be built at once: "
            "choose some of them with image_types"
        )
    body = blueprint.body
    source = "bootc" if "bootc" in body else "distribution"
    common = {
        "image_name": blueprint.name[:_LONGEST_IMAGE_NAME],
        "image_description": blueprint.description[:_LONGEST_DESCRIPTION],
        "client_id": client_id,
        "customizations": blueprint.customizations,
        **({source: body[source]} if source in body else {}),
    }
    return tuple({**common, "image_requests": [image]} for image in images)
