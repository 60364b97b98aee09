"""The composer's `POST /compose` body out of a request and what was found out for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from domain.compose import sizes, subscription, targets
from domain.compose.customizations import Surroundings, as_given, composer_customizations
from domain.compose.lookups import Answers
from domain.compose.repositories import composer_repositories, image_repository_ids
from domain.compose.request import Bootc, ComposeRequest, Json
from domain.compose.snapshots import ContentSettings
from domain.distributions import BootcImage, Distribution, rhel_version
from domain.errors import InvalidRequestError

_BOOTC_ISO = "bootable-container-iso"


@dataclass(frozen=True, slots=True)
class Draft:
    """What a request and the catalogue say by themselves, checked: no back-end's answer is needed for it.

    Either `distribution` is set, or `bootc`, the composer's; `customizations` are the composer's, but for those that
    depend on more, and None where the request has none.
    """

    request: ComposeRequest
    distribution: Distribution | None
    bootc: Json | None
    customizations: Json | None


@dataclass(frozen=True, slots=True)
class Findings:
    """What a build needs to know besides: `entitled` are all distributions the caller is entitled to."""

    upload: targets.UploadSettings
    entitled: tuple[Distribution, ...] = ()
    answers: Answers = field(default_factory=Answers)
    content: ContentSettings = field(default_factory=ContentSettings)


def begin(
    request: ComposeRequest,
    distribution: Distribution | None,
    listed: Iterable[BootcImage] = (),
    translate: Callable[[Json | None], Json | None] = as_given,
) -> Draft:
    """The beginnings of a build from `distribution`, or of a bootc request whose reference has these images `listed`.

    `translate` does what `as_given` does; requests with the same customizations may share what comes of them.

    Raises InvalidRequestError for all that needs nobody's answer to be refused: sizes first, then the upload target.
    """
    sizes.check(request)
    targets.composer_image_type(request.image)
    targets.check_options(request.image)
    subscription.check(request, distribution)
    return Draft(
        request,
        distribution,
        None if request.bootc is None else _bootc(request.bootc, request.image.image_type, tuple(listed)),
        translate(request.customizations),
    )


def build(draft: Draft, findings: Findings, blueprint_id: UUID | None = None) -> dict[str, Any]:
    """The composer's ComposeRequest, its passwords as the draft has them.

    `blueprint_id` names the blueprint that the build is of, if any; the composer writes it into the image.

    Raises InvalidRequestError where request and findings do not fit each other.
    """
    around = Surroundings(draft.distribution, findings.answers, findings.content)
    customizations = composer_customizations(draft.request, draft.customizations, around)
    return {
        **_source(draft, findings),
        **({} if customizations is None else {"customizations": customizations}),
        **({} if blueprint_id is None else {"blueprint_id": str(blueprint_id)}),
        "image_request": _image_request(draft, findings),
    }


def _source(draft: Draft, findings: Findings) -> dict[str, Any]:
    if draft.bootc is not None:
        return {"bootc": draft.bootc}
    assert draft.distribution is not None  # noqa: S101 - for the type checker: a request has one of the two
    detected = _detected_distribution(draft, findings)
    return {"distribution": (detected or draft.distribution).composer_distribution}


def _detected_distribution(draft: Draft, findings: Findings) -> Distribution | None:
    """The RHEL that the image's snapshots turn out to be of; None where they do not say, or it is not the caller's."""
    request = draft.request
    template = findings.answers.template
    snapshots = findings.answers.snapshots if template is None else template.snapshots
    images = image_repository_ids(request, draft.distribution, findings.answers)
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


def _image_request(draft: Draft, findings: Findings) -> dict[str, Any]:
    image = draft.request.image
    return {
        "architecture": image.architecture,
        "image_type": targets.composer_image_type(image),
        **({} if image.size is None else {"size": image.size}),
        **({} if image.ostree is None else {"ostree": image.ostree}),
        "repositories": composer_repositories(draft.request, draft.distribution, findings.answers, findings.content),
        "upload_options": targets.upload_options(image, findings.upload, findings.answers.accounts),
    }
