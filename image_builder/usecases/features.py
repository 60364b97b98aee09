"""Tell a caller what can be built, and with whose help."""

from __future__ import annotations

from dataclasses import dataclass

from domain.distributions import Catalogue, Distribution
from domain.identity import Identity
from ports.features import Features


@dataclass(frozen=True, slots=True)
class OptionalBackEnds:
    """Which back-ends operators set up that the service can do without."""

    content_sources: bool
    provisioning: bool
    compliance: bool
    recommendations: bool
    feature_flags: bool


@dataclass(frozen=True, slots=True)
class Available:
    """What a caller may build, sorted by name; `compliance_policies` says whether images may be built by a policy."""

    distributions: tuple[Distribution, ...]
    back_ends: OptionalBackEnds
    compliance_policies: bool


@dataclass(frozen=True, slots=True)
class TellFeatures:
    """No back-end is asked but for the switches."""

    catalogue: Catalogue
    back_ends: OptionalBackEnds
    features: Features

    def __call__(self, identity: Identity) -> Available:
        """What there is for this caller now."""
        return Available(
            distributions=self.catalogue.visible_to(org_id=identity.tenant, entitled=identity.entitled),
            back_ends=self.back_ends,
            compliance_policies=self.back_ends.compliance and self.features.compliance_policies(),
        )
