"""Masks secrets in texts and documents of other programs that are shown to users, such as logs of builds.

Secrets are recognised by patterns, by names of fields, and by values that are known to be secret. Every pattern takes
linear time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import quote

MASK: Final = "********"
# Characters; shorter known values would occur in ordinary text.
_MIN_LENGTH: Final = 4
_NAMES: Final = (
    "pass(?:word|wd|phrase)|secret(?:[-_]?access[-_]?key)?|token|"
    "(?:access|account|activation|api|encryption|host_config|private|shared|signing)[-_]?key"
)
# Each name contains one of these texts, which are found faster.
_STEMS: Final = ("pass", "secret", "token", "key")
_SECRET_NAME: Final = re.compile(rf"(?:{_NAMES}|credential|authorization|cookie)s?$", re.IGNORECASE)
# A secret name and its value: `name=value`, `"name": "value"`, the same in a JSON text that is part of another one, and
# `--name value`. The groups are what comes before the value, and its quotation mark.
_NAMED_VALUE: Final = re.compile(
    rf"((?:{_NAMES})s?\\{{0,3}}[\"']?[ \t]{{0,3}}[=:][ \t]{{0,3}}|(?<![\w-])--?(?:{_NAMES})s?[ \t]{{1,3}})"
    r"(?:(\\{1,3}\")(?:[^\"\\]|\\(?![\"\\]))+|(\")(?:[^\"\\]|\\.)+|(')[^']+|[^\s\"'&\\]+)",
    re.IGNORECASE,
)
# Each pattern keeps its first group.
_PATTERNS: Final = (
    # Hashes of passwords (crypt)
    re.compile(r"()\$(?:1|5|6|7|2[abxy]?|y|gy)\$[\w./$=,+-]{8,}"),
    # User and password, or a token alone, in a URL
    re.compile(r"(://)[^\s/@:\"']{0,255}:[^\s/\"']{1,1024}(?=@)"),
    re.compile(r"(://)[\w.~%+-]{20,255}(?=@)"),
    # Signed links
    re.compile(r"([?&](?:x-amz-(?:signature|credential|security-token)|sig|signature)=)[^&\s\"']+", re.IGNORECASE),
    # Headers
    re.compile(
        r"(authorization\\{0,3}[\"']?\s{0,3}[=:]\s{0,3}\\{0,3}[\"']?(?:basic|bearer|digest|negotiate|token)\s{1,3})"
        r"[^\"'\n\\]+",
        re.IGNORECASE,
    ),
    re.compile(r"(bearer )[\w.~+/=-]{16,}", re.IGNORECASE),
    re.compile(r"(cookie\\{0,3}[\"']?\s{0,3}:\s{0,3}\\{0,3}[\"']?)[^\"'\n\\]+", re.IGNORECASE),
    # The command of Kickstart files
    re.compile(r"(rootpw(?:[ \t]+--\w+){0,5}[ \t]+)[^\s-][^\s]*"),
    # JSON Web Tokens, and tokens of code hosts
    re.compile(r"()eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"),
    re.compile(r"()g(?:h[pousr]_|ithub_pat_|lpat-)[\w-]{16,}"),
    re.compile(r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----)(?:(?!-----)[\s\S])*"),
)
# Secrets in a stored request.
_REQUEST_SECRET: Final = re.compile(r'"(?:activation-key|host_config_key|password)":\s?("(?:[^"\\]|\\.)*")')


def secrets_of_request(request: str) -> frozenset[str]:
    """The secret values in a build's request, which is JSON."""
    found = (json.loads(match, strict=False) for match in _REQUEST_SECRET.findall(request))
    return frozenset(each for each in found if len(each) >= _MIN_LENGTH)


def text_masker(secrets: Iterable[str] = ()) -> Callable[[str], str]:
    """A function that masks these values, also as JSON and URLs write them, and what looks like a secret, in a text."""
    forms = {form for each in secrets for form in (each, json.dumps(each)[1:-1], _as_json(each), quote(each, safe=""))}
    known = sorted(forms, key=len, reverse=True)

    def mask(text: str) -> str:
        for secret in known:
            text = text.replace(secret, MASK)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\g<1>{MASK}", text)
        return "\n".join(map(_mask_named_values, text.split("\n")))

    return mask


def _mask_named_values(line: str) -> str:
    lowered = line.lower()
    if not any(stem in lowered for stem in _STEMS):
        return line
    return _NAMED_VALUE.sub(lambda found: f"{found[1]}{found[2] or found[3] or found[4] or ''}{MASK}", line)


def mask_document(document: Any, mask: Callable[[str], str]) -> Any:
    """A copy of a JSON document without secrets: values of secret names, whatever they hold, and its texts by `mask`.

    The document is at most as deep as `domain.documents.DEEPEST`.
    """
    if isinstance(document, str):
        return mask(document)
    if isinstance(document, list):
        return [mask_document(each, mask) for each in document]
    if isinstance(document, dict):
        return {
            mask(name): _mask_all(value) if _SECRET_NAME.search(name) else mask_document(value, mask)
            for name, value in document.items()
        }
    return document


def _mask_all(value: Any) -> Any:
    """A copy of a JSON value whose texts and numbers are masked."""
    if isinstance(value, dict):
        return {name: _mask_all(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_mask_all(each) for each in value]
    return value if value is None or isinstance(value, bool) else MASK


def _as_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
