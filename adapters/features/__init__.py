"""Feature flags without a flag service."""

from __future__ import annotations


class EnabledFeatureFlags:
    """Fulfils ports.features.FeatureFlags without Unleash: all flags are on."""

    def compliance_policies(self) -> bool:
        """See the port."""
        return True

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""
