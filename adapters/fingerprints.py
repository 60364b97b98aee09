"""Fingerprints of documents: HMAC-SHA-256 (RFC 2104), because a plain hash of a weak password can be guessed."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Final

import orjson

_ALGORITHM: Final = "sha256"
_LENGTH_OF_MARK: Final = 4


class HmacFingerprints:
    """Fulfils ports.fingerprints.Fingerprints. A fingerprint begins with a mark of its secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode(errors="surrogateescape")
        self._mark = self._digest(b"mark")[:_LENGTH_OF_MARK]

    def compute(self, document: Mapping[str, Any]) -> bytes:
        """See the port."""
        return self._mark + self._digest(b"document", orjson.dumps(document, option=orjson.OPT_SORT_KEYS))

    def is_comparable(self, fingerprint: bytes) -> bool:
        """See the port."""
        return fingerprint.startswith(self._mark)

    def _digest(self, *parts: bytes) -> bytes:
        digest = hmac.new(self._secret, digestmod=_ALGORITHM)
        for part in parts:
            digest.update(part)
        return digest.digest()
