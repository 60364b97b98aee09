"""Look into a distribution: what the composer says can be built of it (spec: GET /distributions/{distro})."""

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
    """Who is not on the allow list may look, and not build."""

    catalogue: Catalogue
    composer: Composer

    def __call__(
        self, identity: Identity, name: str, image_types: Sequence[str], architectures: Sequence[str]
    ) -> dict[str, Any]:
        """The composer's details (contract: DistributionDetails) under the name asked for.

        Raises NotFoundError where the caller or the composer has no such distribution, InvalidRequestError for one of
        bootable containers alone, of which the composer knows nothing, and UnavailableError.
        """
        found = self.catalogue.find(name, entitled=identity.entitled)
        if found is None:
            raise NotFoundError("Distribution not found")
        if found.is_bootc_only:
            raise InvalidRequestError(f"distro: {name} is made of bootable containers only, it has no image types")
        details = self.composer.distribution(found.composer_distribution, image_types, architectures)
        return {**details, "name": name}
