"""Show what a caller can build (openapi.yaml, operation getFeatures)."""

from __future__ import annotations

from dataclasses import dataclass

from domain.distributions import Catalogue, Distribution
from domain.identity import Identity
from ports.features import FeatureFlags


@dataclass(frozen=True, slots=True)
class OptionalBackEnds:
    """Which of the optional back-ends are configured."""

    content_sources: bool
    provisioning: bool
    compliance: bool
    recommendations: bool
    feature_flags: bool


@dataclass(frozen=True, slots=True)
class Available:
    """The features for a caller: distributions sorted by name, and whether compliance policies may be used."""

    distributions: tuple[Distribution, ...]
    back_ends: OptionalBackEnds
    compliance_policies: bool


@dataclass(frozen=True, slots=True)
class ShowFeatures:
    """Shows the available features. It calls no back-end."""

    catalogue: Catalogue
    back_ends: OptionalBackEnds
    features: FeatureFlags

    def __call__(self, identity: Identity) -> Available:
        """Return the features that are available to this caller now."""
        return Available(
            distributions=self.catalogue.visible_to(org_id=identity.tenant, entitled=identity.entitled),
            back_ends=self.back_ends,
            compliance_policies=self.back_ends.compliance and self.features.compliance_policies(),
        )
