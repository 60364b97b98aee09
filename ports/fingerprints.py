"""Fingerprints of JSON documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Fingerprints(Protocol):
    """Keyed hashes of JSON documents, the same in every pod. Without the secret nobody can test a guessed document."""

    def of(self, document: Mapping[str, Any]) -> bytes:
        """The document's fingerprint, whatever the order of its keys."""

    def comparable(self, fingerprint: bytes) -> bool:
        """Whether the fingerprint was made with the current secret."""
