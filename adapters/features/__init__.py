"""Feature flags without a flag service."""

from __future__ import annotations


class EnabledFeatureFlags:
    """Feature flags that are all on, for installations without Unleash. Implements ports.features.FeatureFlags."""

    def compliance_policies(self) -> bool:
        """Implements `FeatureFlags.compliance_policies`."""
        return True

    def start(self) -> None:
        """Implements `FeatureFlags.start`: there is nothing to start."""

    def stop(self) -> None:
        """Implements `FeatureFlags.stop`: there is nothing to stop."""
