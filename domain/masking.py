"""Masks secrets in texts and documents of other programs that are shown to users, such as logs of builds.

Secrets are recognised by patterns, by names of fields, and by values that are known to be secret. Every pattern takes
linear time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

MASK: Final = "********"
# Characters; shorter known values would occur in ordinary text.
_MIN_LENGTH: Final = 4
_NAMES: Final = "password|passwd|passphrase|secret|token|(?:activation|api|private|host_config)[-_]?key"
_SECRET_NAME: Final = re.compile(rf"(?:{_NAMES}|credential)s?$", re.IGNORECASE)
# Each pattern keeps its first group.
_PATTERNS: Final = (
    # Hashes of passwords (crypt)
    re.compile(r"()\$(?:1|5|6|7|2[abxy]?|y|gy)\$[\w./$=,+-]{8,}"),
    # User and password in a URL
    re.compile(r"(://)[^\s/@:\"']{1,255}:[^\s/@\"']{1,1024}(?=@)"),
    # Signed links
    re.compile(r"([?&](?:x-amz-(?:signature|credential|security-token)|sig|signature)=)[^&\s\"']+", re.IGNORECASE),
    # Values of secret names: `name=value`, `"name": "value"`, `--name value`
    re.compile(rf"((?:{_NAMES})s?[\"']?\s{{0,3}}[=:]\s{{0,3}}[\"']?)[^\s\"',;&}}]+", re.IGNORECASE),
    re.compile(rf"(--?(?:{_NAMES})\s[\"']?)[^\s\"']+", re.IGNORECASE),
    re.compile(r"(authorization: ?(?:basic|bearer) )[\w.~+/=-]+", re.IGNORECASE),
    re.compile(r"(bearer )[\w.~+/=-]{16,}", re.IGNORECASE),
    # JSON Web Tokens
    re.compile(r"()\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"),
    re.compile(r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----)[^-]*"),
)
# Secrets in a stored request.
_REQUEST_SECRET: Final = re.compile(r'"(?:activation-key|host_config_key|password)":\s?("(?:[^"\\]|\\.)*")')


def secrets_of_request(request: str) -> frozenset[str]:
    """The secret values in a build's request, which is JSON."""
    found = (json.loads(match, strict=False) for match in _REQUEST_SECRET.findall(request))
    return frozenset(each for each in found if len(each) >= _MIN_LENGTH)


def text_masker(secrets: Iterable[str] = ()) -> Callable[[str], str]:
    """A function that masks these values, and what looks like a secret, in a text."""
    known = sorted(secrets, key=len, reverse=True)

    def mask(text: str) -> str:
        for secret in known:
            text = text.replace(secret, MASK)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\g<1>{MASK}", text)
        return text

    return mask


def mask_document(document: Any, mask: Callable[[str], str]) -> Any:
    """A copy of a JSON document without secrets: fields with secret names, and its texts by `mask`.

    The document is at most as deep as `domain.documents.DEEPEST`.
    """
    if isinstance(document, str):
        return mask(document)
    if isinstance(document, list):
        return [mask_document(each, mask) for each in document]
    if isinstance(document, dict):
        return {
            mask(name): MASK if isinstance(value, str) and _SECRET_NAME.search(name) else mask_document(value, mask)
            for name, value in document.items()
        }
    return document
