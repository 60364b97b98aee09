"""Recommend packages that fit the chosen ones (openapi.yaml, operation recommendPackage)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from image_builder.usecases.concurrency import require_configured
from ports.recommendations import Recommendations, Recommended


@dataclass(frozen=True, slots=True)
class RecommendPackages:
    """Calls the recommendations service, which is None if it is not configured."""

    recommendations: Recommendations | None

    def __call__(self, packages: Sequence[str], count: int, distribution: str) -> Recommended:
        """Return up to `count` packages. An empty result has no model version. Raises UnavailableError."""
        service = require_configured(self.recommendations, "recommendations")
        recommended = service.recommend(packages, count, distribution)
        return recommended if recommended.packages else Recommended(())
