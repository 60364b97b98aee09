"""Compose requests from a blueprint (openapi.yaml, operation composeBlueprint)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from domain.blueprints.blueprint import Blueprint
from domain.errors import InvalidRequestError
from domain.labels import NO_LABELS, Labels, merge_labels

# In characters (openapi.yaml, schema ComposeRequest). Blueprints of older programs may have longer names.
_MAX_IMAGE_NAME_LENGTH: Final = 100
_MAX_DESCRIPTION_LENGTH: Final = 250
# The largest number of image requests in a blueprint (openapi.yaml); older programs stored blueprints with more.
MAX_IMAGES: Final = 40


def create_compose_requests(
    blueprint: Blueprint, client_id: str, image_types: Sequence[str] | None, labels: Labels = NO_LABELS
) -> tuple[dict[str, Any], ...]:
    """One ComposeRequest (openapi.yaml) for each image of the blueprint.

    `image_types` selects images by type; None selects all. `labels` are added to those of the blueprint and replace
    those of the same keys. The requests share one object with the customizations.

    Raises InvalidRequestError for more than MAX_IMAGES images, and for more than MAX_LABELS labels.
    """
    images = [
        image for image in blueprint.image_requests if image_types is None or image.get("image_type") in image_types
    ]
    if len(images) > MAX_IMAGES:
        raise InvalidRequestError(
            f"{len(images)} images of the blueprint would be built, and at most {MAX_IMAGES} can be built at once: "
            "choose some of them with image_types"
        )
    body = blueprint.body
    source = "bootc" if "bootc" in body else "distribution"
    merged = merge_labels(blueprint.labels, labels)
    common = {
        "image_name": blueprint.name[:_MAX_IMAGE_NAME_LENGTH],
        "image_description": blueprint.description[:_MAX_DESCRIPTION_LENGTH],
        "client_id": client_id,
        "customizations": blueprint.customizations,
        **({source: body[source]} if source in body else {}),
        **({"labels": merged} if merged else {}),
    }
    return tuple({**common, "image_requests": [image]} for image in images)
