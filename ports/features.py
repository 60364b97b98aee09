"""Switches that operators turn without a new version (Unleash)."""

from __future__ import annotations

from typing import Protocol


class Features(Protocol):
    """The switches; all are on where nobody can be asked."""

    def compliance_policies(self) -> bool:
        """Whether images may be built by a compliance policy."""
