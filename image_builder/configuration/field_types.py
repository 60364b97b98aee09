"""Types of environment variables: marshmallow fields that parse and check the text of one variable."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, validate

FieldFactory = Callable[..., fields.Field[Any]]

_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")


def format_range(within: tuple[float, float]) -> str:
    """A range as documents and errors show it."""
    return f"{within[0]} to {within[1]}"


def integer(within: tuple[int, int]) -> FieldFactory:
    """A whole number in a range, both ends included."""
    return _checked(_Integer, _range(within))


def number(within: tuple[float, float]) -> FieldFactory:
    """A decimal number in a range, both ends included."""
    return _checked(_Number, _range(within))


def seconds(within: tuple[float, float]) -> FieldFactory:
    """A number of seconds in a range, as a timedelta."""
    least, most = (timedelta(seconds=bound) for bound in within)
    return _checked(_Seconds, validate.Range(least, most, error=f"not {format_range(within)}"))


def choice(allowed: tuple[str, ...], *, ignore_case: bool) -> FieldFactory:
    """One of the allowed words; with `ignore_case` they are upper-case words, and the value becomes one."""
    kind: FieldFactory = _UpperCase if ignore_case else fields.String
    return _checked(kind, validate.OneOf(allowed, error=f"not one of {', '.join(allowed)}"))


def url(schemes: frozenset[str]) -> FieldFactory:
    """A URL with one of these schemes."""
    return _checked(fields.String, partial(_check_url, schemes=schemes))


def text(**options: Any) -> fields.Field[Any]:
    """Any text."""
    return fields.String(**options)


def path_segments(**options: Any) -> fields.Field[Any]:
    """Segments of a URL path, without the slashes around them."""
    return _PathSegments(**options)


def boolean(**options: Any) -> fields.Field[Any]:
    """true/t/1 or false/f/0 in any case; other words are errors."""
    return _Boolean(**options)


def lenient_boolean(**options: Any) -> fields.Field[Any]:
    """True for `true` or `1` in any case, false for everything else."""
    return _LenientBoolean(**options)


def readable_file(**options: Any) -> fields.Field[Any]:
    """The path of a file that this process can read."""
    return _Path(validate=_check_readable_file, **options)


def readable_folder(**options: Any) -> fields.Field[Any]:
    """The path of a folder that this process can read."""
    return _Path(validate=_check_readable_folder, **options)


def listen_address(**options: Any) -> fields.Field[Any]:
    """`host:port`, or `:port` for all addresses."""
    return fields.String(validate=_check_listen_address, **options)


def dsn(**options: Any) -> fields.Field[Any]:
    """The address and key of an error report server: `https://key@host/number`."""
    return fields.String(validate=_check_dsn, **options)


def _checked(kind: FieldFactory, check: Callable[[Any], Any]) -> FieldFactory:
    return partial(kind, validate=check)


def _range(within: tuple[float, float]) -> validate.Range:
    least, most = within
    return validate.Range(least, most, error=f"not {format_range(within)}")


def _check_url(value: str, schemes: frozenset[str]) -> None:
    # Not marshmallow's own check: compiling its regular expression takes 60 ms of each start.
    try:
        parts = urlsplit(value)
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not _PRINTABLE.fullmatch(value):
        raise ValidationError(f"not a URL ({', '.join(sorted(schemes))})")


def _check_dsn(value: str) -> None:
    _check_url(value, schemes=frozenset({"http", "https"}))
    parts = urlsplit(value)
    if not parts.username or not parts.path.rpartition("/")[2].isdecimal():
        raise ValidationError("not a DSN: https://key@host/number")


def _check_listen_address(value: str) -> None:
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535 or " " in host:
        raise ValidationError("expected host:port, or :port for all addresses")


def _check_readable_file(path: Path | None) -> None:
    if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
        raise ValidationError("no file that can be read")


def _check_readable_folder(path: Path | None) -> None:
    if path is not None and not (path.is_dir() and os.access(path, os.R_OK | os.X_OK)):
        raise ValidationError("no folder that can be read")


class _Integer(fields.Integer):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if not _INTEGER.fullmatch(value):
            raise ValidationError("not a whole number")
        return int(value)


class _Number(fields.Float):
    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        try:
            return super()._deserialize(value, attr, data, **options)
        except ValidationError:
            raise ValidationError("not a number") from None


class _Seconds(_Number):
    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        try:
            return timedelta(seconds=super()._deserialize(value, attr, data, **options))
        except OverflowError:
            raise ValidationError("too large") from None


class _UpperCase(fields.String):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return value.upper()


class _PathSegments(fields.String):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return value.strip("/")


class _Path(fields.Field[Any]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Path:
        return Path(value)


class _Boolean(fields.Boolean):
    # The words that the Go service accepts.
    _BY_WORD: Final = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        try:
            return self._BY_WORD[value.lower()]
        except KeyError:
            raise ValidationError(f"not one of {', '.join(self._BY_WORD)}") from None


class _LenientBoolean(fields.Boolean):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        return value.lower() in {"true", "1"}
