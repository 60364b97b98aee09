"""The second line of defence: nothing secret is logged in the first place, and what is nevertheless is masked here.

By the names of fields, by the values that the settings hold, and by what secrets look like.
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
# Names of fields and headers, without case and separators.
_NAMES: Final = re.compile(
    r"(password|passwd|secret|token|authorization|cookie|activationkey|apikey|xrhidentity|xfedoraidentity|privatekey|dsn"
    r"|idempotencykey|credential)s?$"
)
_SEPARATORS: Final = str.maketrans("", "", "-_ .")
# Shorter ones would be found everywhere.
_SHORTEST: Final = 6
_QUOTE: Final = rb"""\\*["']"""
# What secrets look like, after what stays; in lower case the marks without which there is none.
_LOOKS: Final = tuple(
    (mark, re.compile(rb"(?P<before>(?i:" + before + rb"))" + secret))
    for mark, before, secret in (
        # A field of a document, quoted once or several times
        *(
            (name, name + rb"s?" + _QUOTE + rb"\s*[:=,]\s*" + _QUOTE, rb"[^\"'\\]+")
            for name in (b"password", b"secret", b"token", b"activation-key", b"activation_key", b"private_key")
        ),
        *((name + b"=", name + b"=", rb"[^\s\"'\\&]+") for name in (b"secret", b"password", b"token", b"key")),
        (b"bearer", rb"bearer\s+", rb"[\w.~+/=-]{6,}"),
        (b"basic", rb"basic\s+", rb"[\w+/=-]{8,}"),
        # Who asks, in an address
        (b"://", rb"://", rb"[^\s/@\"'\\]+(?=@)"),
        # JSON in base64: identities and tokens
        (b"eyj", rb"", rb"eyJ[\w+/=.-]{16,}"),
        (b"ewog", rb"", rb"ewog[\w+/=.-]{16,}"),
        # Hashes of passwords
        (b"$", rb"", rb"\$(?:6|5|2[aby]?|y)\$[\w./$=]+"),
        # What PostgreSQL says of rows
        (b"detail:", rb"detail:\s+", rb"(?:[^\"\\]|\\[^n])+"),
    )
)

_known: set[bytes] = set()
_known_pattern: re.Pattern[bytes] | None = None


def hide(values: Iterable[str]) -> None:
    """Mask these wherever they stand, from now on and in this process; short ones are too common for that."""
    global _known_pattern  # noqa: PLW0603 - of a process, as its standard output is
    for value in values:
        if len(value) >= _SHORTEST:
            # As it is, and as it stands in JSON
            _known.update({value.encode("utf-8", "replace"), orjson.dumps(_printable(value))[1:-1]})
    longest_first = sorted(_known, key=len, reverse=True)
    _known_pattern = re.compile(b"|".join(map(re.escape, longest_first))) if longest_first else None


@lru_cache(4096)
def is_secret(name: str) -> bool:
    """Whether a field of this name holds something secret."""
    return _NAMES.search(name.translate(_SEPARATORS).lower()) is not None


def without_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask fields whose names say that they are secret, on all levels; numbers tell how many there are."""
    for key, value in event.items():
        if value.__class__ is not int and (value.__class__ is not str or is_secret(key)):
            event[key] = _field(key, value)
    return event


def masked(text: bytes) -> bytes:
    """`text` without the secrets of the settings, and without what looks like one."""
    if _known_pattern is not None:
        text = _known_pattern.sub(_MASK, text)
    lowered = text.lower()
    for mark, looks in _LOOKS:
        if mark in lowered:
            text = looks.sub(rb"\g<before>" + _MASK, text)
    return text


def masked_text(text: str) -> str:
    """The same for text."""
    return masked(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _field(name: str, value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    return MASK if is_secret(name) else _inside(value)


def _inside(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _field(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_inside(each) for each in value]
    return value


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
