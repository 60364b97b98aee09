"""What can be built: distributions, their architectures and repositories, and who may build which."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from domain.errors import ForbiddenError, InvalidRequestError

_RHEL = re.compile(r"rhel-(?:([0-9])([0-9])|([0-9]{1,2})\.([0-9]+))")
_EVERY_ORGANISATION = "*"


@dataclass(frozen=True, slots=True)
class Repository:
    """Where packages come from: exactly one of `baseurl` and `metalink` is set.

    `gpgkey` is armored text (several keys: block after block) or one https address.
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
    """A container image to build an image of `type` from."""

    type: str
    reference: str
    iso_payload_references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a distribution offers on one architecture, all in file order."""

    name: str
    image_types: tuple[str, ...] = ()
    repositories: tuple[Repository, ...] = ()
    bootc: tuple[BootcImage, ...] = ()

    @property
    def untagged_repositories(self) -> tuple[Repository, ...]:
        """The repositories every image type uses."""
        return tuple(r for r in self.repositories if not r.image_type_tags)

    def repositories_for(self, image_type: str) -> tuple[Repository, ...]:
        """The untagged repositories and those tagged with `image_type`."""
        return tuple(r for r in self.repositories if not r.image_type_tags or image_type in r.image_type_tags)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Something to build images of.

    `name` is what callers say (the folder, an alias included); `canonical_name` is the file's
    `distribution.name`: it decides the RHEL version, the allow list's match, and the package lists' names.
    `architectures` is in the order x86_64, aarch64; `profiles` are the ids of its OpenSCAP profiles, sorted.
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
        """Whether any x86_64 repository wants a Red Hat subscription."""
        x86_64 = self.architectures.get("x86_64")
        return x86_64 is not None and any(r.rhsm for r in x86_64.repositories)

    @property
    def composer_distribution(self) -> str:
        """What the composer calls this distribution."""
        return self.composer_name or self.canonical_name

    @property
    def is_bootc_only(self) -> bool:
        """Whether there are bootc images and no package-based image types."""
        architectures = self.architectures.values()
        return any(a.bootc for a in architectures) and not any(a.image_types for a in architectures)

    def architecture(self, name: str) -> Architecture:
        """The architecture of that name; `InvalidRequestError` when the distribution lacks it."""
        try:
            return self.architectures[name]
        except KeyError:
            raise InvalidRequestError("Architecture not supported") from None


def rhel_version(canonical_name: str) -> tuple[int, int] | None:
    """Major and minor of `rhel-84`, `rhel-8.10`, `rhel-10.2`; None for all else, nightly and beta too."""
    match = _RHEL.fullmatch(canonical_name)
    if match is None:
        return None
    major, minor = (int(part) for part in match.groups() if part is not None)
    return major, minor


@dataclass(frozen=True, slots=True)
class AllowList:
    """Which organisations may build what is restricted: patterns per organisation, `*` for every one."""

    patterns: Mapping[str, tuple[re.Pattern[str], ...]] = field(default_factory=dict)

    def allows(self, org_id: str, canonical_name: str) -> bool:
        """Whether a pattern of the organisation, or of `*`, occurs anywhere in the name."""
        own, common = (self.patterns.get(key, ()) for key in (org_id, _EVERY_ORGANISATION))
        return any(pattern.search(canonical_name) for pattern in (*own, *common))


@dataclass(frozen=True, slots=True)
class BootcListing:
    """One bootc image as everybody sees it: `distro` is the folder, `name` its title or else its name."""

    distro: str
    name: str
    type: str
    arch: str
    reference: str
    iso_payload_references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All distributions by the name callers use, and the rules of who sees which."""

    distributions: Mapping[str, Distribution]
    allow_list: AllowList = field(default_factory=AllowList)

    @property
    def names(self) -> tuple[str, ...]:
        """Every distribution's name, aliases included, sorted."""
        return tuple(sorted(self.distributions))

    @property
    def profiles(self) -> tuple[str, ...]:
        """The ids of all distributions' OpenSCAP profiles, each once, sorted."""
        return tuple(sorted({profile for each in self.distributions.values() for profile in each.profiles}))

    def find(self, name: str, *, entitled: bool) -> Distribution | None:
        """The distribution, or None when unknown or not entitled to; the allow list is not asked."""
        distribution = self.distributions.get(name)
        if distribution is None or (distribution.needs_entitlement and not entitled):
            return None
        return distribution

    def get_for(self, name: str, *, org_id: str, entitled: bool) -> Distribution:
        """The distribution this caller may build.

        Raises `InvalidRequestError` when there is none of this name for the caller, `ForbiddenError` when it
        is restricted and the organisation not on the allow list.
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
        """What `find` finds, sorted by name."""
        found = (self.find(name, entitled=entitled) for name in self.names)
        return tuple(distribution for distribution in found if distribution is not None)

    def visible_to(self, *, org_id: str, entitled: bool) -> tuple[Distribution, ...]:
        """What `get_for` would return to this caller, sorted by name."""
        return tuple(d for d in self.entitled_to(entitled=entitled) if self._is_open_to(org_id, d))

    def bootc_images(
        self,
        distro: str | None = None,
        arch: str | None = None,
        type: str | None = None,  # noqa: A002 - the contract's name of the filter
    ) -> tuple[BootcListing, ...]:
        """Every bootc image that passes the filters, nobody's access asked.

        Sorted by distribution; within it x86_64 first, then by type and reference.
        """
        wanted = (distro, arch, type)
        return tuple(
            listing
            for listing in self._bootc_listings()
            if all(
                filter_ is None or filter_ == value
                for filter_, value in zip(wanted, (listing.distro, listing.arch, listing.type), strict=True)
            )
        )

    def bootc_image(self, reference: str, *, entitled: bool) -> tuple[BootcImage, ...]:
        """The entries with this reference, of whichever architecture and type, the caller is entitled to."""
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
