"""The port of the recommendations service, which suggests packages (API v3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Recommended:
    """Names of packages, best first, and the version of the model that recommended them; None if it is unknown."""

    packages: tuple[str, ...]
    model_version: str | None = None


class Recommendations(Protocol):
    """Calls are made with the identity of this service."""

    def recommend(self, packages: Sequence[str], count: int, distribution: str) -> Recommended:
        """Return up to `count` packages that fit `packages`, in a distribution such as `rhel9`.

        Raises UnavailableError.
        """
