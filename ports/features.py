"""The port of feature flags, which operators switch while the service runs (Unleash)."""

from __future__ import annotations

from typing import Protocol


class FeatureFlags(Protocol):
    """The feature flags. All are on until the flag service has answered for the first time."""

    def start(self) -> None:
        """Start a thread that fetches the flags periodically."""

    def stop(self) -> None:
        """Stop fetching."""

    def compliance_policies(self) -> bool:
        """Return whether images may be built with a compliance policy."""
