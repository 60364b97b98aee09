"""Builders for tests of the domain: distributions, build contexts, and the composer's request for a document."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final

import orjson
import pytest

from adapters.embedded.composer.schema import compose_request_validator
from adapters.files.distributions import load_distributions
from adapters.files.project_files import DISTRIBUTIONS
from domain.compose import passwords
from domain.compose.build import write_request
from domain.compose.checks import check_request
from domain.compose.context import BuildContext
from domain.compose.customizations import translate_customizations
from domain.compose.lookups import Answers, create_questions
from domain.compose.request import BootcReference, ComposeRequest, parse_compose_request
from domain.compose.snapshots import ContentSettings
from domain.compose.source import BootableContainer, ImageSource
from domain.compose.targets import UploadSettings
from domain.content import RED_HAT, ContentRepository, Snapshot
from domain.distributions import Architecture, BootcImage, Distribution, Repository
from domain.errors import InvalidRequestError
from image_builder.http.schemas import Checker
from tests.support.builders import compose_request
from tests.support.openapi import openapi_document

Json = dict[str, Any]

CONTENT: Final = ContentSettings(
    repo_url="https://content.example",
    repo_prefix="api/pulp-content",
    insights_client_proxy="http://proxy.example:3128",
    patch_url="https://patch.example/api",
)
UPLOAD: Final = UploadSettings(aws_region="us-east-1", gcp_region="us-east1", gcp_bucket="bucket")

# Every upload target with each image type that it accepts, and the composer's name of the image type.
FITTING: Final = {
    ("aws", "aws"): "aws",
    ("aws", "ami"): "aws",
    ("aws.s3", "edge-commit"): "edge-commit",
    ("aws.s3", "rhel-edge-commit"): "edge-commit",
    ("aws.s3", "edge-installer"): "edge-installer",
    ("aws.s3", "rhel-edge-installer"): "edge-installer",
    ("aws.s3", "guest-image"): "guest-image",
    ("aws.s3", "image-installer"): "image-installer",
    ("aws.s3", "network-installer"): "network-installer",
    ("aws.s3", "vsphere"): "vsphere",
    ("aws.s3", "vsphere-ova"): "vsphere-ova",
    ("aws.s3", "wsl"): "wsl",
    ("aws.s3", "pxe-tar-xz"): "pxe-tar-xz",
    ("aws.s3", "bootable-container-iso"): "bootable-container-iso",
    ("gcp", "gcp"): "gcp",
    ("azure", "azure"): "azure",
    ("azure", "vhd"): "azure",
    ("oci.objectstorage", "oci"): "oci",
}


@cache
def real_distributions() -> dict[str, Distribution]:
    """The distributions of this repository by name and alias."""
    return load_distributions(DISTRIBUTIONS)


@cache
def schemas() -> dict[str, Json]:
    """The schemas of openapi.yaml by name; `Distributions` also allows the distributions of this repository."""
    known: dict[str, Json] = openapi_document()["components"]["schemas"]
    distributions = known["Distributions"]
    distributions["enum"] = list({*distributions["enum"], *real_distributions()})
    return known


@cache
def _compose_request() -> Checker:
    return Checker(schemas()["ComposeRequest"], schemas())


def accept_customizations(document: Any) -> Json:
    """The document checked as Customizations (openapi.yaml), with defaults; see `Checker.accept`."""
    accepted: Json = _customizations().accept(document)
    return accepted


@cache
def _customizations() -> Checker:
    return Checker(schemas()["Customizations"], schemas())


def a_repository(repository_id: str = "baseos", *, tags: tuple[str, ...] = (), **fields: Any) -> Repository:
    """A repository with a base URL, unless `fields` say otherwise."""
    given = {"rhsm": False, "baseurl": f"https://mirror.example/{repository_id}", **fields}
    return Repository(repository_id, image_type_tags=tags, **given)


def a_distribution(name: str = "centos-9", *repositories: Repository, **fields: Any) -> Distribution:
    """A distribution for x86_64 and aarch64 with the same repositories; `architectures` replaces both."""
    both = {arch: Architecture(arch, repositories=repositories) for arch in ("x86_64", "aarch64")}
    given = {"canonical_name": name, "description": name, "module_platform_id": "platform:el9", "architectures": both}
    return Distribution(name, **{**given, **fields})


def a_rhel(name: str = "rhel-9.8", *repositories: Repository, **fields: Any) -> Distribution:
    """A RHEL with Red Hat's `baseos`, unless other repositories are given."""
    return a_distribution(name, *(repositories or (a_repository(rhsm=True),)), **fields)


def a_uuid(number: int) -> str:
    """A UUID with this number, for an object of a back-end."""
    return f"00000000-0000-4000-8000-{number:012}"


def known(number: int, url: str | None = None, **fields: Any) -> ContentRepository:
    """A repository of content sources, by default one of Red Hat's."""
    address = f"https://mirror.example/{number}" if url is None else url
    return ContentRepository(a_uuid(number), **{"url": address, "origin": RED_HAT, **fields})


def a_snapshot(number: int, **fields: Any) -> Snapshot:
    """The snapshot of the repository with this number."""
    given = {"repository_path": f"snapshots/{number}/", "url": f"https://reach.example/{number}/", **fields}
    return Snapshot(a_uuid(number), **given)


def completed(document: Json) -> Json:
    """A valid ComposeRequest (openapi.yaml) with its defaults, as handlers receive it."""
    accepted: Json = _compose_request().accept(json.loads(json.dumps(document)))
    return accepted


def hash_of(password: str) -> str:
    """The text that `built` uses as the hash of a password."""
    return f"$6$salt$hash-of-{password}"


def resolve(
    request: ComposeRequest, distribution: Distribution | None = None, bootc: tuple[BootcImage, ...] = ()
) -> ImageSource:
    """The source of a request: `distribution`, or a simple one with the name, or the container of these entries."""
    if isinstance(request.source, BootcReference):
        return BootableContainer(request.source.reference, request.source.iso_payload_reference, bootc)
    return distribution or a_distribution(request.source, a_repository())


def a_context(request: ComposeRequest, source: ImageSource, **fields: Any) -> BuildContext:
    """The build context of a request after its checks. Raises the errors of the checks."""
    check_request(request, source)
    return BuildContext(
        request=request,
        source=source,
        customizations=translate_customizations(request.customizations),
        questions=create_questions(request, source),
        **{"upload": UPLOAD, **fields},
    )


def built(
    document: Json | None = None,
    *,
    distribution: Distribution | None = None,
    bootc: tuple[BootcImage, ...] = (),
    entitled: tuple[Distribution, ...] = (),
    answers: Answers | None = None,
    content: ContentSettings | None = None,
) -> Json:
    """The composer's request, checked by the composer's schema.

    `distribution` is the distribution that the request names; `bootc` are the catalogue's entries for the container
    that it names.
    """
    request = parse_compose_request(completed(compose_request() if document is None else document))
    source = resolve(request, distribution, bootc)
    context = a_context(request, source, content=content or ContentSettings(), entitled=entitled)
    users = request.get_customization("users", ())
    hashes = {user: hash_of(password) for user, password in passwords.find_plain_passwords(users).items()}
    theirs = passwords.insert_hashes(write_request(context.with_answers(answers or Answers())), hashes)
    compose_request_validator().validate(theirs)
    sent: Json = orjson.loads(orjson.dumps(theirs))
    assert sent == theirs, "the request holds values that JSON does not have"
    return sent


def refusal(document: Json, **arguments: Any) -> str:
    """The error text with which a document is refused."""
    with pytest.raises(InvalidRequestError) as refused:
        built(document, **arguments)
    return refused.value.detail


def customized(ours: Json | None, **arguments: Any) -> Any:
    """The composer's customizations for customizations of this service."""
    return built(compose_request(customizations=ours), **arguments).get("customizations")
