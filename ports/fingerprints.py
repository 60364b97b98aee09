"""Fingerprints of JSON documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Fingerprints(Protocol):
    """Keyed hashes of JSON documents, equal in all pods. A guessed document cannot be verified without the secret."""

    def compute(self, document: Mapping[str, Any]) -> bytes:
        """Return the fingerprint of the document; it does not depend on the order of keys."""

    def is_comparable(self, fingerprint: bytes) -> bool:
        """Return whether the fingerprint was computed with the current secret."""
