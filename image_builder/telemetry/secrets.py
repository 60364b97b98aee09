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


def _looks(before: bytes, secret: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(?P<before>(?i:" + before + rb"))" + secret)


def _field_of_a_document(name: bytes) -> re.Pattern[bytes]:
    """Quoted once or several times."""
    return _looks(name + rb"s?" + _QUOTE + rb"\s*[:=]\s*" + _QUOTE, rb"[^\"'\\]+")


def _field_of_a_form(name: bytes) -> re.Pattern[bytes]:
    return _looks(name + rb"=", rb"[^\s\"'\\&]+")


# What secrets look like, and what stays before them; by what no line is without that holds one, in lower case.
_LOOKS: Final = {
    b"password": (_field_of_a_document(b"password"), _field_of_a_form(b"password")),
    b"secret": (_field_of_a_document(b"secret"), _field_of_a_form(b"secret")),
    b"token": (_field_of_a_document(b"token"), _field_of_a_form(b"token")),
    b"key": (_field_of_a_document(rb"(?:activation|private|host_config)[-_]?key"), _field_of_a_form(b"key")),
    b"bearer": (_looks(rb"bearer\s+", rb"[\w.~+/=-]{6,}"),),
    b"basic": (_looks(rb"basic\s+", rb"[\w+/=-]{8,}"),),
    # Who asks, in an address
    b"://": (_looks(rb"://", rb"[^\s/@\"'\\]+(?=@)"),),
    # JSON in base64: identities and tokens
    b"eyj": (_looks(rb"", rb"eyJ[\w+/=.-]{16,}"),),
    b"ewog": (_looks(rb"", rb"ewog[\w+/=.-]{16,}"),),
    # Hashes of passwords
    b"$": (_looks(rb"", rb"\$(?:6|5|2[aby]?|y)\$[\w./$=]+"),),
    # What PostgreSQL says of rows
    b"detail:": (_looks(rb"detail:\s+", rb"(?:[^\"\\]|\\[^n])+"),),
    # Names in which a secret of the settings stands, such as "secret"
    _MASK: (_field_of_a_document(re.escape(_MASK)), _field_of_a_form(re.escape(_MASK))),
}
_MARKS: Final = tuple(_LOOKS)

_known: tuple[bytes, ...] = ()


def hide(values: Iterable[str]) -> None:
    """Mask these wherever they stand, from now on and in this process; short ones are too common for that."""
    global _known  # noqa: PLW0603 - of a process, as its standard output is
    found = set(_known)
    for value in values:
        if len(value) >= _SHORTEST:
            # As it is, and as it stands in JSON
            found |= {value.encode("utf-8", "replace"), orjson.dumps(_printable(value))[1:-1]}
    _known = tuple(sorted(found, key=len, reverse=True))


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
    for secret in _known:
        if secret in text:
            text = text.replace(secret, _MASK)
    lowered = text.lower()
    for mark in _MARKS:  # this loop is all that most lines take
        if mark in lowered:
            for looks in _LOOKS[mark]:
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
