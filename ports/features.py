"""Feature flags, which operators switch without a new version (Unleash)."""

from __future__ import annotations

from typing import Protocol


class Features(Protocol):
    """The feature flags. All are on while the flag service was never reached."""

    def start(self) -> None:
        """Begin to follow the flag service, in the background."""

    def stop(self) -> None:
        """Stop following it."""

    def compliance_policies(self) -> bool:
        """Whether images may be built by a compliance policy."""
