"""OpenSCAP profiles of distributions, with the customizations that an image needs for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.distributions import Catalogue
from domain.errors import InvalidRequestError


@dataclass(frozen=True, slots=True)
class Profiles:
    """The profiles of all distributions, for all callers.

    `documents` are the customizations (openapi.yaml, schema Customizations) by the name of the distribution, including
    aliases, and the id of the profile. Profiles without a file of customizations are absent.
    """

    catalogue: Catalogue
    documents: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)

    def of(self, distribution: str) -> tuple[str, ...]:
        """Return the ids of a distribution's profiles, sorted. Raises InvalidRequestError if there are none."""
        entry = self.catalogue.distributions.get(distribution)
        if entry is None or not entry.profiles:
            raise InvalidRequestError(f"There are no OpenSCAP profiles for {distribution}")
        return entry.profiles

    def customizations(self, distribution: str, profile: str) -> Mapping[str, Any]:
        """Return the customizations of a profile.

        Raises InvalidRequestError if the distribution has no such profile, or the profile's file has no `openscap`.
        """
        document = self.documents.get((distribution, profile), {})
        if "openscap" not in document:
            raise InvalidRequestError(
                f"There are no customizations of the OpenSCAP profile {profile} for {distribution}"
            )
        return document
