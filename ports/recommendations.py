"""The service that knows which packages go together (contract: recommendations v3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Recommended:
    """Names of packages, the best first; `model_version` says what found them, None where nothing does."""

    packages: tuple[str, ...]
    model_version: str | None = None


class Recommendations(Protocol):
    """Asked in our own name."""

    def recommend(self, packages: Sequence[str], count: int, distribution: str) -> Recommended:
        """Up to `count` packages that go with `packages` in a distribution such as `rhel9`. Raises UnavailableError."""
