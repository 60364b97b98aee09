"""The composer's request that resolves the packages of a build (DepsolveRequest of its API)."""

from __future__ import annotations

from typing import Any

from domain.compose.blueprint_form import write_package_lists
from domain.compose.build import write_source
from domain.compose.context import BuildContext
from domain.compose.customer_repositories import write_payload_repositories
from domain.compose.repositories import write_image_repositories
from domain.compose.source import BootableContainer
from domain.compose.targets import translate_image_type


def write_resolution_request(context: BuildContext) -> dict[str, Any] | None:
    """Return the DepsolveRequest for a build, with the repositories that the build would use.

    None for a bootable container, whose packages the composer does not resolve. Raises InvalidRequestError if the
    results of lookups do not allow the build, or the target does not accept the image type.
    """
    if isinstance(context.source, BootableContainer):
        return None
    return {
        **write_source(context),
        "architecture": context.request.image.architecture,
        "image_type": translate_image_type(context.request.image),
        "repositories": [*write_image_repositories(context), *write_payload_repositories(context)],
        "blueprint": {"name": "check", **write_package_lists(context.customizations or {})},
    }
