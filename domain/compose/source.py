"""What an image is built from: the packages of a distribution, or a bootable container.

A bootable container (bootc) is a container image that holds a whole operating system with its kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain.compose.request import ComposeRequest, ImageRequest
from domain.distributions import BootcImage, Catalogue, Distribution, Repository, rhel_version
from domain.errors import InvalidRequestError

_BOOTC_ISO_IMAGE_TYPE: Final = "bootable-container-iso"


@dataclass(frozen=True, slots=True)
class BootableContainer:
    """A bootable container that a request names.

    `reference` names the container in its registry. `iso_payload_reference` names the container that an installer ISO
    installs on the machine. `catalogue_entries` are the catalogue's entries with this reference that the caller may
    build from. There are none if the catalogue does not list the reference: then `check_source` raises the error, after
    the checks that come before it (`domain.compose.checks`).
    """

    reference: str
    iso_payload_reference: str | None = None
    catalogue_entries: tuple[BootcImage, ...] = ()


ImageSource = Distribution | BootableContainer


def resolve_source(request: ComposeRequest, catalogue: Catalogue, *, org_id: str, entitled: bool) -> ImageSource:
    """Find what the request is built from in the catalogue.

    `org_id` is the caller's organization, `entitled` says whether it has a Red Hat subscription.

    Raises InvalidRequestError if the distribution or its architecture is not available to the caller, and
    ForbiddenError if the allow list excludes the organization from the distribution.
    """
    requested = request.source
    if isinstance(requested, str):
        distribution = catalogue.get_for(requested, org_id=org_id, entitled=entitled)
        distribution.architecture(request.image.architecture)  # raises InvalidRequestError if it is not available
        return distribution
    entries = catalogue.find_bootc_images(requested.reference, entitled=entitled)
    return BootableContainer(requested.reference, requested.iso_payload_reference, entries)


def check_source(source: ImageSource, image_type: str) -> None:
    """Raise InvalidRequestError if the catalogue does not list the bootable container or its ISO payload.

    Only images of the type `bootable-container-iso` may have a payload. `resolve_source` has checked a distribution.
    """
    if isinstance(source, Distribution):
        return
    if not source.catalogue_entries:
        raise InvalidRequestError(f"bootc reference '{source.reference}' not found")
    payload = source.iso_payload_reference
    if payload is None:
        return
    if image_type != _BOOTC_ISO_IMAGE_TYPE:
        raise InvalidRequestError("iso_payload_reference must not be set for non-ISO bootc image types")
    if not any(payload in entry.iso_payload_references for entry in source.catalogue_entries):
        raise InvalidRequestError(f"iso_payload_reference '{payload}' not found for this bootc reference")


def get_rhel_version(source: ImageSource) -> tuple[int, int] | None:
    """Return the major and minor version of a RHEL release.

    None for a nightly or beta build of RHEL, any other distribution, and a bootable container.
    """
    return rhel_version(source.canonical_name) if isinstance(source, Distribution) else None


def list_repositories(source: ImageSource, image: ImageRequest) -> tuple[Repository, ...]:
    """Return the distribution's repositories for this image type and architecture; none for a bootable container."""
    if isinstance(source, BootableContainer):
        return ()
    return source.architecture(image.architecture).repositories_for(image.image_type)
