"""Distributions with their architectures and repositories, and the rules about who may build them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from domain.errors import ForbiddenError, InvalidRequestError

# Canonical names such as `rhel-84`, `rhel-8.10` and `rhel-10.2`.
_RHEL = re.compile(r"rhel-(?:([0-9])([0-9])|([0-9]{1,2})\.([0-9]+))")
_EVERY_ORGANIZATION = "*"


@dataclass(frozen=True, slots=True)
class Repository:
    """A package repository. Exactly one of `baseurl` and `metalink` is set.

    `gpgkey` is armored text, which may hold several keys one after the other, or one https address. `rhsm` says whether
    the repository needs a Red Hat subscription. With `image_type_tags`, only images of these types use the repository.
    """

    id: str
    rhsm: bool
    baseurl: str | None = None
    metalink: str | None = None
    gpgkey: str | None = None
    check_gpg: bool | None = None
    image_type_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BootcImage:
    """A container image (bootc) from which images of `type` are built."""

    type: str
    reference: str
    iso_payload_references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Architecture:
    """Image types, repositories and bootc images of a distribution on one architecture, in the order of its file."""

    name: str
    image_types: tuple[str, ...] = ()
    repositories: tuple[Repository, ...] = ()
    bootc: tuple[BootcImage, ...] = ()

    @property
    def untagged_repositories(self) -> tuple[Repository, ...]:
        """The repositories that all image types use."""
        return tuple(r for r in self.repositories if not r.image_type_tags)

    def repositories_for(self, image_type: str) -> tuple[Repository, ...]:
        """Return the untagged repositories and those tagged with `image_type`."""
        return tuple(r for r in self.repositories if not r.image_type_tags or image_type in r.image_type_tags)


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution of which images can be built.

    `name` is the name that callers use: that of a folder in the distribution directory, or an alias. `canonical_name`
    is `distribution.name` of its file; it determines the RHEL version, the match with the allow list, and the names of
    package lists. `architectures` is in the order x86_64, aarch64; `profiles` are the sorted ids of its OpenSCAP
    profiles. `restricted` distributions are for organizations on the allow list.
    """

    name: str
    canonical_name: str
    description: str
    module_platform_id: str
    composer_name: str | None = None
    oscap_name: str | None = None
    restricted: bool = False
    no_package_list: bool = False
    architectures: Mapping[str, Architecture] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()

    @property
    def needs_entitlement(self) -> bool:
        """Whether a repository of x86_64 needs a Red Hat subscription."""
        x86_64 = self.architectures.get("x86_64")
        return x86_64 is not None and any(r.rhsm for r in x86_64.repositories)

    @property
    def composer_distribution(self) -> str:
        """The name that the composer uses for this distribution."""
        return self.composer_name or self.canonical_name

    @property
    def is_bootc_only(self) -> bool:
        """Whether there are bootc images and no package-based image types."""
        architectures = self.architectures.values()
        return any(a.bootc for a in architectures) and not any(a.image_types for a in architectures)

    def architecture(self, name: str) -> Architecture:
        """Return the architecture of that name. Raises InvalidRequestError if the distribution does not have it."""
        try:
            return self.architectures[name]
        except KeyError:
            raise InvalidRequestError("Architecture not supported") from None


def rhel_version(canonical_name: str) -> tuple[int, int] | None:
    """Return the major and minor version of a name such as `rhel-84` and `rhel-8.10`.

    None for other names, including nightly and beta builds of RHEL.
    """
    match = _RHEL.fullmatch(canonical_name)
    if match is None:
        return None
    major, minor = (int(part) for part in match.groups() if part is not None)
    return major, minor


@dataclass(frozen=True, slots=True)
class AllowList:
    """The restricted distributions that organizations may build: patterns by organization id; `*` is for all."""

    patterns: Mapping[str, tuple[re.Pattern[str], ...]] = field(default_factory=dict)

    def allows(self, org_id: str, canonical_name: str) -> bool:
        """Return whether a pattern of the organization, or of `*`, matches any part of the name."""
        own, common = (self.patterns.get(key, ()) for key in (org_id, _EVERY_ORGANIZATION))
        return any(pattern.search(canonical_name) for pattern in (*own, *common))


@dataclass(frozen=True, slots=True)
class BootcListing:
    """An entry of the public list of bootc images.

    `distro` is the name of its distribution; `name` is the distribution's description, or its canonical name without
    one.
    """

    distro: str
    name: str
    type: str
    arch: str
    reference: str
    iso_payload_references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All distributions by name, including aliases, and the allow list for restricted ones."""

    distributions: Mapping[str, Distribution]
    allow_list: AllowList = field(default_factory=AllowList)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all distributions, including aliases, sorted."""
        return tuple(sorted(self.distributions))

    @property
    def profiles(self) -> tuple[str, ...]:
        """The ids of the OpenSCAP profiles of all distributions, without duplicates, sorted."""
        return tuple(sorted({profile for each in self.distributions.values() for profile in each.profiles}))

    def find(self, name: str, *, entitled: bool) -> Distribution | None:
        """Return the distribution; None if it is unknown, or needs an entitlement that the caller does not have.

        The allow list is not applied.
        """
        distribution = self.distributions.get(name)
        if distribution is None or (distribution.needs_entitlement and not entitled):
            return None
        return distribution

    def get_for(self, name: str, *, org_id: str, entitled: bool) -> Distribution:
        """Return the distribution, if this caller may build it.

        Raises InvalidRequestError if `find` returns None, and ForbiddenError if the distribution is restricted and the
        allow list does not contain it for the organization.
        """
        distribution = self.find(name, entitled=entitled)
        if distribution is None:
            raise InvalidRequestError("distribution not available")
        if not self._is_open_to(org_id, distribution):
            raise ForbiddenError(
                f"This account's organization is not authorized to build {distribution.canonical_name} images"
            )
        return distribution

    def entitled_to(self, *, entitled: bool) -> tuple[Distribution, ...]:
        """Return all distributions that `find` returns for a caller with or without entitlement, sorted by name."""
        distributions = (self.find(name, entitled=entitled) for name in self.names)
        return tuple(distribution for distribution in distributions if distribution is not None)

    def visible_to(self, *, org_id: str, entitled: bool) -> tuple[Distribution, ...]:
        """Return all distributions that `get_for` returns to this caller, sorted by name."""
        return tuple(d for d in self.entitled_to(entitled=entitled) if self._is_open_to(org_id, d))

    def list_bootc_images(
        self,
        distro: str | None = None,
        arch: str | None = None,
        type: str | None = None,  # noqa: A002 - the name of the filter in openapi.yaml
    ) -> tuple[BootcListing, ...]:
        """Return all bootc images that match the filters, also those that the caller may not build.

        They are sorted by distribution, then x86_64 before aarch64, then by type and reference.
        """
        filters = (distro, arch, type)
        return tuple(
            listing
            for listing in self._bootc_listings()
            if all(
                filter_ is None or filter_ == value
                for filter_, value in zip(filters, (listing.distro, listing.arch, listing.type), strict=True)
            )
        )

    def find_bootc_images(self, reference: str, *, entitled: bool) -> tuple[BootcImage, ...]:
        """Return the bootc images with this reference, of all architectures and types.

        Images that need an entitlement are left out if the caller has none.
        """
        return tuple(
            image
            for distribution in self.entitled_to(entitled=entitled)
            for architecture in distribution.architectures.values()
            for image in architecture.bootc
            if image.reference == reference
        )

    def _is_open_to(self, org_id: str, distribution: Distribution) -> bool:
        return not distribution.restricted or self.allow_list.allows(org_id, distribution.canonical_name)

    def _bootc_listings(self) -> Iterator[BootcListing]:
        for distro in self.names:
            distribution = self.distributions[distro]
            name = distribution.description or distribution.canonical_name
            for arch, architecture in distribution.architectures.items():
                for image in sorted(architecture.bootc, key=lambda i: (i.type, i.reference)):
                    yield BootcListing(distro, name, image.type, arch, image.reference, image.iso_payload_references)
