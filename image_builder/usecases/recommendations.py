"""Recommend packages that go with those chosen already (contract: recommendPackage)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from image_builder.usecases.concurrency import set_up
from ports.recommendations import Recommendations, Recommended


@dataclass(frozen=True, slots=True)
class RecommendPackages:
    """Asks the recommendations service, which is None where operators did not set it up."""

    recommendations: Recommendations | None

    def __call__(self, packages: Sequence[str], count: int, distribution: str) -> Recommended:
        """Up to `count` packages; that there are none is no model's merit. Raises UnavailableError."""
        service = set_up(self.recommendations, "recommendations")
        recommended = service.recommend(packages, count, distribution)
        return recommended if recommended.packages else Recommended(())
