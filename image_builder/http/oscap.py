"""The controller of OpenSCAP profiles and of compliance policies (openapi.yaml, getOscapProfiles and others)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from domain.identity import Identity
from domain.profiles import Profiles
from image_builder.http.answers import Answer, EncodedBodies, encoded_json_answer, json_answer
from image_builder.http.call import Lane, Route
from image_builder.usecases.requirements import ShowPolicy


@dataclass(frozen=True, slots=True)
class OscapController:
    """Operations on profiles and policies. The profiles are in memory, and the same for all organizations."""

    profiles: Profiles
    show_policy: ShowPolicy
    _bodies: EncodedBodies = field(default_factory=EncodedBodies)

    def routes(self) -> Mapping[str, Route]:
        """The handlers of these operations, by operation id."""
        return {
            "getOscapProfiles": Route(self.list_profiles, at_once=True),
            "getOscapCustomizations": Route(self.customizations, at_once=True),
            "getOscapCustomizationsForPolicy": Route(self.policy_customizations, Lane.WAITING),
        }

    def list_profiles(self, identity: Identity, distribution: str) -> Answer:  # noqa: ARG002 - the same for all
        """Handle GET /oscap/{distribution}/profiles."""
        return encoded_json_answer(self._bodies.get(distribution, lambda: self.profiles.of(distribution)))

    def customizations(self, identity: Identity, distribution: str, profile: str) -> Answer:  # noqa: ARG002 - as above
        """Handle GET /oscap/{distribution}/{profile}/customizations."""
        return encoded_json_answer(
            self._bodies.get((distribution, profile), lambda: self.profiles.customizations(distribution, profile))
        )

    def policy_customizations(self, identity: Identity, policy: UUID, distribution: str) -> Answer:
        """Handle GET /oscap/{policy}/{distribution}/policy_customizations."""
        return json_answer(self.show_policy(identity, str(policy), distribution))
