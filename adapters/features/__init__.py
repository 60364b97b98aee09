"""Switches where there is nobody to ask."""

from __future__ import annotations


class AlwaysOn:
    """Fulfils ports.features.Features without Unleash: all is on."""

    def compliance_policies(self) -> bool:
        """See the port."""
        return True

    def start(self) -> None:
        """There is nothing to start."""

    def stop(self) -> None:
        """There is nothing to stop."""
