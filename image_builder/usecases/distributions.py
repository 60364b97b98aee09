"""Show the composer's details of a distribution (openapi.yaml, operation getDistribution)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domain.distributions import Catalogue
from domain.errors import InvalidRequestError, NotFoundError
from domain.identity import Identity
from ports.composer import Composer


@dataclass(frozen=True, slots=True)
class DescribeDistribution:
    """Describes distributions, also those that the caller may not build because of the allow list."""

    catalogue: Catalogue
    composer: Composer

    def __call__(
        self, identity: Identity, name: str, image_types: Sequence[str], architectures: Sequence[str]
    ) -> dict[str, Any]:
        """Return the composer's details (openapi.yaml, schema DistributionDetails) with the requested `name`.

        Raises NotFoundError if the distribution is unknown or needs an entitlement that the caller lacks,
        InvalidRequestError if it has only bootable containers, which the composer does not know, and UnavailableError.
        """
        entry = self.catalogue.find(name, entitled=identity.entitled)
        if entry is None:
            raise NotFoundError("Distribution not found")
        if entry.is_bootc_only:
            raise InvalidRequestError(f"distro: {name} is made of bootable containers only, it has no image types")
        details = self.composer.distribution(entry.composer_distribution, image_types, architectures)
        return {**details, "name": name}
