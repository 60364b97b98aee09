"""Decides, when a compose is requested, whether it is refused and how its build will end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self
from urllib.parse import urlsplit

from adapters.embedded.composer import build_errors, distributions
from adapters.embedded.composer.answers import RefusedError

# A build with a package whose name begins like this fails to resolve its packages.
NO_SUCH_PACKAGE: Final = "no-such-package"
# A build with a package whose name begins like this fails to upload its image.
UPLOAD_WILL_FAIL: Final = "upload-will-fail"
# A request with an OSTree repository on this host is refused.
UNREACHABLE: Final = "unreachable.invalid"

Request = Mapping[str, Any]


class Outcome(StrEnum):
    """How a build ends."""

    SUCCESS = "success"
    NOT_DEPSOLVED = "not depsolved"
    NOT_UPLOADED = "not uploaded"
    # With an error of `build_errors`.
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a build ends and where its image is uploaded; `packages` are those that make it fail."""

    outcome: Outcome
    image_type: str
    upload_type: str
    region: str = ""
    image_name: str = ""
    packages: tuple[str, ...] = ()

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        """Create the plan from its stored document."""
        packages = tuple(document.pop("packages"))
        return cls(Outcome(document.pop("outcome")), packages=packages, **document)


def create_plan(request: Request) -> Plan:
    """Create the plan for a request that matches the schema.

    Raises RefusedError for a request that the real composer would refuse at once.
    """
    image = _image(request)
    _check_distribution(request)
    if image["architecture"] not in distributions.ARCHITECTURES:
        raise RefusedError(400, "5", "Unsupported architecture", image["architecture"])
    _check_customizations(request, image["image_type"])
    _check_repositories(request, image)
    _check_ostree(image)
    options = image.get("upload_options") or {}
    outcome, packages = _find_outcome(request)
    return Plan(
        outcome=outcome,
        image_type=image["image_type"],
        upload_type=upload_type(image["image_type"]),
        region=options.get("region", ""),
        image_name=options.get("image_name", ""),
        packages=packages,
    )


def upload_type(image_type: str) -> str:
    """The type of the upload target for images of this type."""
    match image_type.partition("-")[0]:
        case "aws" | "azure" | "gcp" as cloud:
            return cloud
        case "oci":
            return "oci.objectstorage"
    return "aws.s3"


def list_packages(request: Request) -> list[str]:
    """The names of packages and groups that a request asks for, in its customizations or its blueprint."""
    blueprint = request.get("blueprint")
    if blueprint is None:
        packages: list[str] = (request.get("customizations") or {}).get("packages", [])
        return packages
    named = [each["name"] for key in ("packages", "modules") for each in blueprint.get(key, ())]
    return [*named, *(f"@{each['name']}" for each in blueprint.get("groups", ()))]


def _image(request: Request) -> Request:
    images = [request["image_request"]] if "image_request" in request else []
    images += request.get("image_requests", [])
    if len(images) != 1:
        raise RefusedError(400, "25", "Compose request has unsupported number of image builds")
    image: Request = images[0]
    return image


def _check_distribution(request: Request) -> None:
    name = request.get("distribution")
    known = "bootc" in request if name is None else distributions.is_known(name)
    if not known:
        raise RefusedError(400, "4", "Unsupported distribution", name)


def _check_customizations(request: Request, image_type: str) -> None:
    """Refuse customizations that the image type does not support. Here only installers have such."""
    customizations = request.get("customizations") or (request.get("blueprint") or {}).get("customizations") or {}
    refused = [name for name in customizations if not distributions.supports(image_type, name)]
    if refused:
        named = ", ".join(f"customizations.{name}" for name in refused)
        raise RefusedError(400, "11", "Failed to get manifest", f"{image_type!r}: {named}: not supported")


def _check_repositories(request: Request, image: Request) -> None:
    payload = (request.get("customizations") or {}).get("payload_repositories", [])
    if any(not _has_address(repository) for repository in payload):
        raise RefusedError(400, "24", "BaseURL must be specified for payload repositories")
    for repository in [*image["repositories"], *payload]:
        if not _has_address(repository):
            raise RefusedError(400, "7", "Must specify baseurl, mirrorlist, or metalink")
        if repository.get("check_gpg") and not repository.get("gpgkey"):
            raise RefusedError(400, "29", "Invalid repository, when check_gpg is set, gpgkey must be specified")


def _has_address(repository: Request) -> bool:
    return any(repository.get(key) for key in ("baseurl", "metalink", "mirrorlist"))


def _check_ostree(image: Request) -> None:
    url = (image.get("ostree") or {}).get("url", "")
    if UNREACHABLE in url and urlsplit(url).hostname == UNREACHABLE:
        raise RefusedError(400, "10", "Error resolving OSTree repo", f"no such host: {UNREACHABLE}")


def _find_outcome(request: Request) -> tuple[Outcome, tuple[str, ...]]:
    packages = list_packages(request)
    if missing := _starting_with(NO_SUCH_PACKAGE, packages):
        return Outcome.NOT_DEPSOLVED, missing
    if failing := _starting_with(UPLOAD_WILL_FAIL, packages):
        return Outcome.NOT_UPLOADED, failing
    if named := tuple(name for name in packages if build_errors.find_error_id(name) is not None):
        return Outcome.FAILED, named
    return Outcome.SUCCESS, ()


def _starting_with(prefix: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name.startswith(prefix))
