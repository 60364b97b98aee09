"""Feature flags without a flag service."""

from __future__ import annotations


class EnabledFeatureFlags:
    """Feature flags that are all on, for installations without Unleash. Implements ports.features.FeatureFlags."""

    def compliance_policies(self) -> bool:
        """Implements `FeatureFlags.compliance_policies`."""
        return True

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""
