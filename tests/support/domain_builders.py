"""Builders for tests of the domain: distributions, and the composer's request of a document."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final

import orjson
import pytest
import yaml

from adapters.embedded.composer.schema import compose_request_validator
from adapters.files.distributions import load_distributions
from adapters.files.project_files import DISTRIBUTIONS, OPENAPI
from domain.compose import passwords
from domain.compose.build import Findings, begin, build
from domain.compose.lookups import Answers, questions
from domain.compose.request import read
from domain.compose.snapshots import ContentSettings
from domain.compose.targets import UploadSettings
from domain.content import RED_HAT, ContentRepository, Snapshot
from domain.distributions import Architecture, BootcImage, Distribution, Repository
from domain.errors import InvalidRequestError
from image_builder.http.schemas import Checker
from tests.support.builders import compose_request

Json = dict[str, Any]

CONTENT: Final = ContentSettings(
    repo_url="https://content.example",
    repo_prefix="api/pulp-content",
    insights_client_proxy="http://proxy.example:3128",
    patch_url="https://patch.example/api",
)
UPLOAD: Final = UploadSettings(aws_region="us-east-1", gcp_region="us-east1", gcp_bucket="bucket")

# Every pair the spec has, with the composer's name of the image type.
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
    """What the repository installs, by the name callers use."""
    return load_distributions(DISTRIBUTIONS)


@cache
def schemas() -> dict[str, Json]:
    """The contract's schemas by name, with what is installed."""
    known: dict[str, Json] = yaml.load(OPENAPI.read_bytes(), Loader=yaml.CSafeLoader)["components"]["schemas"]
    distributions = known["Distributions"]
    distributions["enum"] = list({*distributions["enum"], *real_distributions()})
    return known


@cache
def _compose_request() -> Checker:
    return Checker(schemas()["ComposeRequest"], schemas())


def accept_customizations(document: Any) -> Json:
    """The document as the contract's Customizations; see `Checker.accept`."""
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
    """The number as the id of a thing of a back-end."""
    return f"00000000-0000-4000-8000-{number:012}"


def known(number: int, url: str | None = None, **fields: Any) -> ContentRepository:
    """A Red Hat repository of content sources, unless its `origin` is another."""
    address = f"https://mirror.example/{number}" if url is None else url
    return ContentRepository(a_uuid(number), **{"url": address, "origin": RED_HAT, **fields})


def a_snapshot(number: int, **fields: Any) -> Snapshot:
    """The snapshot of the repository with this number."""
    given = {"repository_path": f"snapshots/{number}/", "url": f"https://reach.example/{number}/", **fields}
    return Snapshot(a_uuid(number), **given)


def completed(document: Json) -> Json:
    """A document that fits the contract, with the contract's defaults: what handlers get."""
    accepted: Json = _compose_request().accept(json.loads(json.dumps(document)))
    return accepted


def hash_of(password: str) -> str:
    """What `built` takes for the hash of a password."""
    return f"$6$salt$hash-of-{password}"


def built(
    document: Json | None = None,
    *,
    distribution: Distribution | None = None,
    bootc: tuple[BootcImage, ...] = (),
    entitled: tuple[Distribution, ...] = (),
    answers: Answers | None = None,
    content: ContentSettings | None = None,
) -> Json:
    """The composer's request, which the composer's schema has to accept; the distribution is for non-bootc ones."""
    request = read(completed(compose_request() if document is None else document))
    if request.distribution is not None and distribution is None:
        distribution = a_distribution(request.distribution, a_repository())
    draft = begin(request, distribution, bootc)
    questions(request, distribution, content_sources=True)  # what cannot be asked is refused
    users = (request.customizations or {}).get("users", ())
    hashes = {user: hash_of(password) for user, password in passwords.to_hash(users).items()}
    findings = Findings(UPLOAD, entitled, answers or Answers(), content or ContentSettings())
    theirs = passwords.with_hashes(build(draft, findings), hashes)
    compose_request_validator().validate(theirs)
    sent: Json = orjson.loads(orjson.dumps(theirs))
    assert sent == theirs, "what is sent is plain JSON"
    return sent


def refusal(document: Json, **arguments: Any) -> str:
    """The text with which a document is refused that must not be built."""
    with pytest.raises(InvalidRequestError) as refused:
        built(document, **arguments)
    return refused.value.detail


def customized(ours: Json | None, **arguments: Any) -> Any:
    """The composer's customizations of ours."""
    return built(compose_request(customizations=ours), **arguments).get("customizations")
