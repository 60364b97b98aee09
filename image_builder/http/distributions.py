"""The controller of distributions (openapi.yaml, operations getDistributions, getDistribution, getArchitectures)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.distributions import Architecture, BootcListing, Catalogue, Repository
from domain.identity import Identity
from domain.nulls import without_nulls
from image_builder.http.answers import Answer, EncodedBodies, encoded_json_answer, json_answer
from image_builder.http.call import Lane, Route
from image_builder.usecases.distributions import DescribeDistribution


@dataclass(frozen=True, slots=True)
class DistributionsController:
    """Operations on distributions. Most of them only read the catalogue, which never changes."""

    catalogue: Catalogue
    describe_distribution: DescribeDistribution
    _bodies: EncodedBodies = field(default_factory=EncodedBodies)

    def routes(self) -> Mapping[str, Route]:
        """The handlers of these operations, by operation id."""
        return {
            "getDistributions": Route(self.list, at_once=True),
            "getDistribution": Route(self.get, Lane.WAITING),
            "getArchitectures": Route(self.architectures, at_once=True),
        }

    def list(
        self,
        identity: Identity,
        kind: str | None,
        distro: str | None,
        arch: str | None,
        type: str | None,  # noqa: A002
    ) -> Answer:
        """Handle GET /distributions."""
        if kind == "bootc":
            return encoded_json_answer(
                self._bodies.get(
                    (kind, distro, arch, type),
                    lambda: [
                        _listing(listing)
                        for listing in self.catalogue.list_bootc_images(distro or None, arch or None, type or None)
                    ],
                )
            )
        distributions = self.catalogue.visible_to(org_id=identity.tenant, entitled=identity.entitled)
        return encoded_json_answer(
            self._bodies.get(
                ("visible", *(each.name for each in distributions)),
                lambda: [{"name": each.name, "description": each.description} for each in distributions],
            )
        )

    def get(self, identity: Identity, distro: str, image_type: Sequence[str], architecture: Sequence[str]) -> Answer:
        """Handle GET /distributions/{distro}."""
        return json_answer(self.describe_distribution(identity, distro, image_type, architecture))

    def architectures(self, identity: Identity, distribution: str) -> Answer:
        """Handle GET /architectures/{distribution}."""
        entry = self.catalogue.get_for(distribution, org_id=identity.tenant, entitled=identity.entitled)
        return encoded_json_answer(
            self._bodies.get(
                ("architectures", entry.name),
                lambda: [_architecture(architecture) for architecture in entry.architectures.values()],
            )
        )


def _listing(listing: BootcListing) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "distro": listing.distro,
        "name": listing.name,
        "type": listing.type,
        "arch": listing.arch,
        "reference": listing.reference,
    }
    if listing.iso_payload_references:
        answer["iso_payload_references"] = listing.iso_payload_references
    return answer


def _architecture(architecture: Architecture) -> dict[str, Any]:
    return {
        "arch": architecture.name,
        "image_types": architecture.image_types,
        "repositories": [_repository(repository) for repository in architecture.untagged_repositories],
    }


def _repository(repository: Repository) -> dict[str, Any]:
    fields = {"baseurl": repository.baseurl, "metalink": repository.metalink, "rhsm": repository.rhsm}
    return without_nulls(fields)
