"""The composer's `POST /compose` body out of a request and what was found out for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from domain.compose import sizes, targets
from domain.compose.customizations import composer_customizations
from domain.compose.request import Bootc, ComposeRequest
from domain.distributions import BootcImage, Distribution, Repository
from domain.errors import InvalidRequestError

_BOOTC_ISO = "bootable-container-iso"


@dataclass(frozen=True, slots=True)
class Findings:
    """What a build needs to know besides the request.

    Either `distribution`, or for a bootc request the `bootc` images listed under its reference for this caller.
    """

    upload: targets.UploadSettings
    distribution: Distribution | None = None
    bootc: tuple[BootcImage, ...] = ()


def check(request: ComposeRequest) -> None:
    """All that the request alone can be refused for, in the contract's order: sizes, then the upload target.

    Raises InvalidRequestError.
    """
    sizes.check(request)
    targets.composer_image_type(request.image)


def build(request: ComposeRequest, findings: Findings) -> dict[str, Any]:
    """The composer's ComposeRequest, its plain passwords not hashed yet.

    Raises InvalidRequestError where request and findings do not fit each other.
    """
    check(request)
    customizations = composer_customizations(request.customizations)
    return {
        **_source(request, findings),
        **({} if customizations is None else {"customizations": customizations}),
        "image_request": _image_request(request, findings),
    }


def _source(request: ComposeRequest, findings: Findings) -> dict[str, Any]:
    if request.bootc is not None:
        return {"bootc": _bootc(request.bootc, request.image.image_type, findings.bootc)}
    assert findings.distribution is not None  # noqa: S101 - for the type checker: a request has one of the two
    return {"distribution": findings.distribution.composer_distribution}


def _bootc(bootc: Bootc, image_type: str, listed: tuple[BootcImage, ...]) -> dict[str, Any]:
    if not listed:
        raise InvalidRequestError(f"bootc reference '{bootc.reference}' not found")
    payload = bootc.iso_payload_reference
    if payload is None:
        return {"reference": bootc.reference}
    if image_type != _BOOTC_ISO:
        raise InvalidRequestError("iso_payload_reference must not be set for non-ISO bootc image types")
    if not any(payload in entry.iso_payload_references for entry in listed):
        raise InvalidRequestError(f"iso_payload_reference '{payload}' not found for this bootc reference")
    return {"reference": bootc.reference, "iso_payload_reference": payload}


def _image_request(request: ComposeRequest, findings: Findings) -> dict[str, Any]:
    image = request.image
    return {
        "architecture": image.architecture,
        "image_type": targets.composer_image_type(image),
        **({} if image.size is None else {"size": image.size}),
        **({} if image.ostree is None else {"ostree": image.ostree}),
        "repositories": _repositories(request, findings.distribution),
        "upload_options": targets.upload_options(image, findings.upload),
    }


def _repositories(request: ComposeRequest, distribution: Distribution | None) -> list[dict[str, Any]]:
    if distribution is None:
        return []
    architecture = distribution.architecture(request.image.architecture)
    return [_as_it_is(repository) for repository in architecture.repositories_for(request.image.image_type)]


def _as_it_is(repository: Repository) -> dict[str, Any]:
    fields = {
        "baseurl": repository.baseurl,
        "metalink": repository.metalink,
        "rhsm": repository.rhsm,
        "gpgkey": repository.gpgkey,
        "check_gpg": repository.check_gpg,
    }
    return {name: value for name, value in fields.items() if value is not None}
