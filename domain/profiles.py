"""OpenSCAP profiles: what an image has to have to be hardened by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.distributions import Catalogue
from domain.errors import InvalidRequestError


@dataclass(frozen=True, slots=True)
class Profiles:
    """The profiles of all distributions; nobody's access is asked.

    `documents` are the customizations (contract: Customizations) by the distribution's name, aliases included, and the
    profile's id; a profile that operators give no customizations is not among them.
    """

    catalogue: Catalogue
    documents: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)

    def of(self, distribution: str) -> tuple[str, ...]:
        """The ids of a distribution's profiles, sorted. Raises InvalidRequestError where there are none."""
        found = self.catalogue.distributions.get(distribution)
        if found is None or not found.profiles:
            raise InvalidRequestError(f"There are no OpenSCAP profiles for {distribution}")
        return found.profiles

    def customizations(self, distribution: str, profile: str) -> Mapping[str, Any]:
        """What the profile asks for.

        Raises InvalidRequestError where the distribution has no such profile, or where it does not say which OpenSCAP
        profile it applies.
        """
        document = self.documents.get((distribution, profile), {})
        if "openscap" not in document:
            raise InvalidRequestError(
                f"There are no customizations of the OpenSCAP profile {profile} for {distribution}"
            )
        return document
