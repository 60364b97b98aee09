"""What an image is built from: the packages of a distribution, or a bootable container."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain.compose.request import ComposeRequest, ImageRequest
from domain.distributions import BootcImage, Catalogue, Distribution, Repository, rhel_version
from domain.errors import InvalidRequestError

_BOOTC_ISO: Final = "bootable-container-iso"


@dataclass(frozen=True, slots=True)
class BootableContainer:
    """A bootable container that a request names.

    `entries` are the catalogue's entries with this reference that the caller may build from; there are none where the
    catalogue does not list the reference (see `check_source`).
    """

    reference: str
    iso_payload_reference: str | None = None
    entries: tuple[BootcImage, ...] = ()


ImageSource = Distribution | BootableContainer


def resolve_source(request: ComposeRequest, catalogue: Catalogue, *, org_id: str, entitled: bool) -> ImageSource:
    """Find what the request is built from in the catalogue.

    `org_id` is the caller's organization, `entitled` says whether it has a Red Hat subscription.

    Raises InvalidRequestError where the distribution or its architecture is not available to the caller, and
    ForbiddenError where the allow list keeps the distribution from the organization.
    """
    named = request.source
    if isinstance(named, str):
        distribution = catalogue.get_for(named, org_id=org_id, entitled=entitled)
        distribution.architecture(request.image.architecture)
        return distribution
    entries = catalogue.find_bootc_images(named.reference, entitled=entitled)
    return BootableContainer(named.reference, named.iso_payload_reference, entries)


def check_source(source: ImageSource, image_type: str) -> None:
    """Raise InvalidRequestError where the catalogue does not list the container or its ISO payload.

    A payload is for images of the type `bootable-container-iso` only. A distribution has been checked when it was
    resolved.
    """
    if isinstance(source, Distribution):
        return
    if not source.entries:
        raise InvalidRequestError(f"bootc reference '{source.reference}' not found")
    payload = source.iso_payload_reference
    if payload is None:
        return
    if image_type != _BOOTC_ISO:
        raise InvalidRequestError("iso_payload_reference must not be set for non-ISO bootc image types")
    if not any(payload in entry.iso_payload_references for entry in source.entries):
        raise InvalidRequestError(f"iso_payload_reference '{payload}' not found for this bootc reference")


def get_rhel_version(source: ImageSource) -> tuple[int, int] | None:
    """The major and minor version of a RHEL; None for every other distribution and for a bootable container."""
    return rhel_version(source.canonical_name) if isinstance(source, Distribution) else None


def list_repositories(source: ImageSource, image: ImageRequest) -> tuple[Repository, ...]:
    """The repositories of the distribution for this image type and architecture; none for a bootable container."""
    if isinstance(source, BootableContainer):
        return ()
    return source.architecture(image.architecture).repositories_for(image.image_type)
