"""The composer's `POST /compose` body out of a request and what was found out for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from domain.compose import sizes, targets
from domain.compose.customizations import Surroundings, composer_customizations
from domain.compose.lookups import Answers
from domain.compose.repositories import composer_repositories, is_of_image
from domain.compose.request import Bootc, ComposeRequest
from domain.compose.snapshots import ContentSettings
from domain.distributions import BootcImage, Distribution, rhel_version
from domain.errors import InvalidRequestError

_BOOTC_ISO = "bootable-container-iso"


@dataclass(frozen=True, slots=True)
class Findings:
    """What a build needs to know besides the request.

    Either `distribution`, or for a bootc request the `bootc` images listed under its reference for this caller;
    `entitled` are all distributions the caller is entitled to; `answers` those of the back-ends.
    """

    upload: targets.UploadSettings
    distribution: Distribution | None = None
    bootc: tuple[BootcImage, ...] = ()
    entitled: tuple[Distribution, ...] = ()
    answers: Answers = field(default_factory=Answers)
    content: ContentSettings = field(default_factory=ContentSettings)


def check(request: ComposeRequest) -> None:
    """All that the request alone can be refused for, in the contract's order: sizes, then the upload target.

    Raises InvalidRequestError.
    """
    sizes.check(request)
    targets.composer_image_type(request.image)
    targets.check_options(request.image)


def build(request: ComposeRequest, findings: Findings) -> dict[str, Any]:
    """The composer's ComposeRequest, its plain passwords not hashed yet.

    Raises InvalidRequestError where request and findings do not fit each other.
    """
    check(request)
    around = Surroundings(findings.distribution, findings.answers, findings.content)
    customizations = composer_customizations(request, around)
    return {
        **_source(request, findings),
        **({} if customizations is None else {"customizations": customizations}),
        "image_request": _image_request(request, findings),
    }


def _source(request: ComposeRequest, findings: Findings) -> dict[str, Any]:
    if request.bootc is not None:
        return {"bootc": _bootc(request.bootc, request.image.image_type, findings.bootc)}
    assert findings.distribution is not None  # noqa: S101 - for the type checker: a request has one of the two
    detected = detected_distribution(request, findings)
    return {"distribution": (detected or findings.distribution).composer_distribution}


def detected_distribution(request: ComposeRequest, findings: Findings) -> Distribution | None:
    """The RHEL that the image's snapshots turn out to be of; None where they do not say, or it is not the caller's."""
    template = findings.answers.template
    snapshots = findings.answers.snapshots if template is None else template.snapshots
    images = {
        repository.uuid
        for repository in findings.answers.red_hat
        if is_of_image(repository, request, findings.distribution, findings.answers)
    }
    versions = (each.detected_os_version for each in snapshots if each.repository_uuid in images)
    version = next(filter(None, versions), None)
    if version is None or not request.image.has_snapshots:
        return None
    of_version = (each for each in findings.entitled if _version_text(each) == version)
    return next(of_version, None)


def _version_text(distribution: Distribution) -> str | None:
    version = rhel_version(distribution.canonical_name)
    return None if version is None else f"{version[0]}.{version[1]}"


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
        "repositories": composer_repositories(request, findings.distribution, findings.answers, findings.content),
        "upload_options": targets.upload_options(image, findings.upload, findings.answers.accounts),
    }
