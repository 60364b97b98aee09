"""Fingerprints of documents: HMAC-SHA-256 (RFC 2104), because a weak password could be guessed from a plain hash."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Final

import orjson

_ALGORITHM: Final = "sha256"
# Bytes at the beginning of a fingerprint that identify its secret.
_SECRET_ID_LENGTH: Final = 4


class HmacFingerprints:
    """Computes fingerprints with a secret. Implements ports.fingerprints.Fingerprints.

    A fingerprint begins with an identifier of its secret, so that fingerprints with other secrets can be recognised.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode(errors="surrogateescape")
        self._secret_id = self._digest(b"mark")[:_SECRET_ID_LENGTH]

    def compute(self, document: Mapping[str, Any]) -> bytes:
        """Implements `Fingerprints.compute`."""
        return self._secret_id + self._digest(b"document", orjson.dumps(document, option=orjson.OPT_SORT_KEYS))

    def is_comparable(self, fingerprint: bytes) -> bool:
        """Implements `Fingerprints.is_comparable`."""
        return fingerprint.startswith(self._secret_id)

    def _digest(self, *parts: bytes) -> bytes:
        digest = hmac.new(self._secret, digestmod=_ALGORITHM)
        for part in parts:
            digest.update(part)
        return digest.digest()
