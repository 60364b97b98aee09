"""Masks secrets in log lines and error reports.

Code should log no secrets; this is the second line of defence. Secrets are recognised by the names of fields, by the
values of secret settings, and by patterns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson
from structlog.typing import EventDict, WrappedLogger

MASK: Final = "********"
_MASK: Final = MASK.encode()
# Ends of the names of secret fields and headers, in lower case without separators.
_SECRET_NAMES: Final = re.compile(
    r"(password|passwd|secret|token|authorization|cookie|activationkey|apikey|xrhidentity|xfedoraidentity|privatekey|dsn"
    r"|idempotencykey|credential)s?$"
)
_SEPARATORS: Final = str.maketrans("", "", "-_ .")
# Characters; shorter values of settings would occur in ordinary text.
_MIN_LENGTH: Final = 6
# A quotation mark, with backslashes if the JSON is quoted inside other JSON.
_QUOTE: Final = rb"""\\*["']"""


def _pattern(before: bytes, secret: bytes) -> re.Pattern[bytes]:
    """Match a secret behind `before`, which is matched in any case and is not masked."""
    return re.compile(rb"(?P<before>(?i:" + before + rb"))" + secret)


def _json_field(name: bytes) -> re.Pattern[bytes]:
    """Match the value of a quoted field, as in JSON."""
    return _pattern(name + rb"s?" + _QUOTE + rb"\s*[:=]\s*" + _QUOTE, rb"[^\"'\\]+")


def _form_field(name: bytes) -> re.Pattern[bytes]:
    """Match the value of `name=value`, as in queries and forms."""
    return _pattern(name + rb"=", rb"[^\s\"'\\&]+")


# Patterns of secrets, by a text in lower case that each line with such a secret holds: most lines need no pattern.
_PATTERNS: Final = {
    b"password": (_json_field(b"password"), _form_field(b"password")),
    b"secret": (_json_field(b"secret"), _form_field(b"secret")),
    b"token": (_json_field(b"token"), _form_field(b"token")),
    b"key": (_json_field(rb"(?:activation|private|host_config)[-_]?key"), _form_field(b"key")),
    b"bearer": (_pattern(rb"bearer\s+", rb"[\w.~+/=-]{6,}"),),
    b"basic": (_pattern(rb"basic\s+", rb"[\w+/=-]{8,}"),),
    # User and password in a URL
    b"://": (_pattern(rb"://", rb"[^\s/@\"'\\]+(?=@)"),),
    # JSON in base64: identities and tokens
    b"eyj": (_pattern(rb"", rb"eyJ[\w+/=.-]{16,}"),),
    b"ewog": (_pattern(rb"", rb"ewog[\w+/=.-]{16,}"),),
    # Hashes of passwords
    b"$": (_pattern(rb"", rb"\$(?:6|5|2[aby]?|y)\$[\w./$=]+"),),
    # Values of rows in error messages of PostgreSQL
    b"detail:": (_pattern(rb"detail:\s+", rb"(?:[^\"\\]|\\[^n])+"),),
    # Field names that hold a value of a setting, such as "secret", and are masked therefore
    _MASK: (_json_field(re.escape(_MASK)), _form_field(re.escape(_MASK))),
}
_MARKS: Final = tuple(_PATTERNS)

# The values of secret settings, the longest first.
_registered: tuple[bytes, ...] = ()


def register_secrets(values: Iterable[str]) -> None:
    """Mask these values in all later output of this process. Values of less than 6 characters are ignored."""
    global _registered  # noqa: PLW0603 - one per process, like its output
    found = set(_registered)
    for value in values:
        if len(value) >= _MIN_LENGTH:
            # As it is, and as JSON writes it
            found |= {value.encode("utf-8", "replace"), orjson.dumps(_printable(value))[1:-1]}
    _registered = tuple(sorted(found, key=len, reverse=True))


@lru_cache(4096)
def is_secret(name: str) -> bool:
    """Whether fields of this name hold secrets."""
    return _SECRET_NAMES.search(name.translate(_SEPARATORS).lower()) is not None


def mask_secret_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor that masks fields with secret names, nested ones too.

    Numbers are not masked: they are counts.
    """
    for key, value in event.items():
        if value.__class__ is not int and (value.__class__ is not str or is_secret(key)):
            event[key] = _mask_field(key, value)
    return event


def mask_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a document whose fields with secret names are masked, nested ones too."""
    return {key: _mask_field(key, value) for key, value in document.items()}


def mask_secrets(text: bytes) -> bytes:
    """Mask the values of secret settings, and texts that match a pattern of secrets."""
    for secret in _registered:
        if secret in text:
            text = text.replace(secret, _MASK)
    lowered = text.lower()
    for mark in _MARKS:  # for most lines no mark is found
        if mark in lowered:
            for pattern in _PATTERNS[mark]:
                text = pattern.sub(rb"\g<before>" + _MASK, text)
    return text


def mask_secrets_in_text(text: str) -> str:
    """`mask_secrets` for text instead of bytes."""
    return mask_secrets(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _mask_field(name: str, value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    return MASK if is_secret(name) else _mask_inside(value)


def _mask_inside(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _mask_field(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_mask_inside(each) for each in value]
    return value


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
