"""Environment variables, declared as fields of frozen dataclasses and read into them.

A declaration is all there is to a variable: reading, checking, `image-builder config` and docs/configuration.md are
made from it.

    class Limits:
        reads: int = _limits.whole("RATE_LIMIT_READS", 600, "requests a minute that only read", within=(1, 10**6))
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol
from urllib.parse import unquote, urlsplit

from marshmallow import EXCLUDE, Schema, ValidationError, validate
from marshmallow import fields as kinds

_VARIABLE: Final = "variable"
_MASK: Final = "********"
_URL: Final = "URL"
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")
_WORDS: Final = {
    "required": "needed, and not set",
    "null": "needed, and not set",
    "invalid": "not what it should be",
}


class Declared(Protocol):
    """A dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable.

    `values` and `shown_default` say in the document what it may hold, and what holds without it.
    """

    name: str
    section: Section
    meaning: str
    values: str
    shown_default: str
    secret: bool
    required: bool
    kind: Callable[..., kinds.Field[Any]]
    default: Any

    def field(self) -> kinds.Field[Any]:
        """What reads it."""
        options: dict[str, Any] = {"required": True} if self.required else {"load_default": self.default}
        return self.kind(data_key=self.name, error_messages=_WORDS, **options)

    def shown(self, text: str) -> str:
        """A value of it as it may be shown to people and kept in logs."""
        return _MASK if self.secret and text and self.values != _URL else without_credentials(text)


@dataclass(frozen=True, slots=True)
class Section:
    """Variables that belong together; its methods declare them, each as the field of a dataclass.

    Who declares gives name, default and meaning: a short clause without its full stop. Text and addresses whose default
    is None have to be set.
    """

    title: str
    explanation: str = ""

    def text(self, name: str, default: str | None, meaning: str, *, secret: bool = False) -> Any:
        """Any text."""
        return self._declare(name, default, meaning, "text", kinds.String, secret=secret, required=default is None)

    def segments(self, name: str, default: str, meaning: str) -> Any:
        """A part of a path, read without the slashes around it."""
        return self._declare(name, default, meaning, "text", _Segments)

    def url(self, name: str, default: str | None, meaning: str, *, secret: bool = False, schemes: str = "http") -> Any:
        """An address; `schemes`, parted by blanks, are those it may have, https among them where http is."""
        allowed = {*schemes.split(), *(["https"] if "http" in schemes.split() else [])}
        kind = _checked(kinds.String, partial(_url, allowed=allowed))
        return self._declare(name, default, meaning, _URL, kind, secret=secret, required=default is None)

    def whole(self, name: str, default: int, meaning: str, *, within: tuple[int, int]) -> Any:
        """A whole number."""
        check = _range(within)
        return self._declare(name, default, meaning, _between(within), _checked(_Whole, check))

    def number(self, name: str, default: float, meaning: str, *, within: tuple[float, float]) -> Any:
        """A number with or without a fraction, such as seconds."""
        check = _range(within)
        return self._declare(name, default, meaning, _between(within), _checked(_Number, check))

    def seconds(self, name: str, default: float, meaning: str, *, within: tuple[float, float]) -> Any:
        """A number of seconds, as a timedelta."""
        least, most = (timedelta(seconds=bound) for bound in within)
        check = validate.Range(least, most, error=f"not {_between(within)}")
        kind = _checked(_Seconds, check)
        return self._declare(name, timedelta(seconds=default), meaning, _between(within), kind)

    def choice(self, name: str, default: str, meaning: str, *, of: tuple[str, ...], any_case: bool = False) -> Any:
        """One of several words; in capitals afterwards where `any_case` holds."""
        check = validate.OneOf(of, error=f"not one of {', '.join(of)}")
        kind = _Capitals if any_case else kinds.String
        return self._declare(name, default, meaning, ", ".join(f"`{word}`" for word in of), _checked(kind, check))

    def truth(self, name: str, default: bool, meaning: str) -> Any:
        """True or false; no other word counts as either."""
        return self._declare(name, default, meaning, "`true` or `false`", _Truth)

    def yes(self, name: str, meaning: str) -> Any:
        """True with `true` or `1`, in any case; false with everything else."""
        return self._declare(name, False, meaning, "`true` or `1`", _Yes)

    def file(self, name: str, meaning: str) -> Any:
        """A file that can be read, as a Path; None where there is none."""
        return self._declare(name, None, meaning, "file", _checked(_Path, _readable_file))

    def folder(self, name: str, default: Path, meaning: str, *, shown_default: str) -> Any:
        """A folder that can be read, as a Path."""
        kind = _checked(_Path, _readable_folder)
        return self._declare(name, default, meaning, "folder", kind, shown_default=shown_default)

    def address(self, name: str, default: str, meaning: str) -> Any:
        """Where to listen, as `host:port`."""
        return self._declare(name, default, meaning, "host:port", _checked(kinds.String, _host_and_port))

    def dsn(self, name: str, meaning: str) -> Any:
        """Where errors are reported to, and the key to it; empty where there is none."""
        return self._declare(name, "", meaning, _URL, _checked(kinds.String, _dsn), secret=True)

    def _declare(
        self,
        name: str,
        default: Any,
        meaning: str,
        values: str,
        kind: Callable[..., kinds.Field[Any]],
        *,
        secret: bool = False,
        required: bool = False,
        shown_default: str = "",
    ) -> Any:
        shown = shown_default or (f"`{as_text(default)}`" if as_text(default) else "")
        variable = Variable(name, self, meaning, values, shown, secret, required, kind, default)
        return field(metadata={_VARIABLE: variable}, repr=not secret)


def variables(declared: type[Declared]) -> dict[str, Variable]:
    """The variables of a dataclass, by the names of its fields."""
    return {each.name: each.metadata[_VARIABLE] for each in fields(declared) if _VARIABLE in each.metadata}


def look(declared: type[Declared], environment: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """What can be read of the variables, by field, and what is wrong with the others, by variable.

    A `faults` of the dataclass, called with what could be read, yields what is wrong with variables together, as pairs
    of a variable's name and a sentence.
    """
    schema = Schema.from_dict({name: variable.field() for name, variable in variables(declared).items()})
    faults: dict[str, str] = {}
    try:
        values = schema(unknown=EXCLUDE).load(dict(environment))
    except ValidationError as error:
        values = error.valid_data
        faults = {name: "; ".join(said) for name, said in error.messages_dict.items()}
    together: Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]] | None = getattr(declared, "faults", None)
    if together is not None:
        faults |= {name: fault for name, fault in together(values) if name not in faults}
    return values, faults


def secrets(declared: type[Declared], environment: Mapping[str, str]) -> Iterator[str]:
    """What must not be shown of the variables' values: secrets, and what gives access in addresses."""
    for variable in variables(declared).values():
        text = environment.get(variable.name, "")
        if variable.secret and variable.values != _URL:
            yield text
            # Of headers, each by itself: libraries say which one they do not understand.
            yield from text.replace("=", ",").split(",")
        elif "://" in text:
            yield from _access(text)


def _access(url: str) -> Iterator[str]:
    """Who asks, in an address; all of it where that cannot be told from the rest."""
    try:
        parts = urlsplit(url)
    except ValueError:
        yield url
        return
    yield from (unquote(part) for part in {parts.password or parts.username, parts.password} if part)


def told(faults: Mapping[str, str]) -> str:
    """Faults by variable as a text for the operator."""
    return "The configuration cannot be used:" + "".join(f"\n  {name}: {fault}" for name, fault in faults.items())


def without_credentials(text: str) -> str:
    """`text`, and where it is a URL, that without user, password, and query."""
    if "://" not in text:
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return _MASK
    _, at, host = parts.netloc.rpartition("@")
    masked = parts._replace(netloc=f"{_MASK}@{host}" if at else host, query=_MASK if parts.query else "", fragment="")
    return masked.geturl()


def as_text(default: Any) -> str:
    """A default as it would stand in the environment; empty where there is none."""
    if default is None or default == "":
        return ""
    if isinstance(default, timedelta):
        return str(default.total_seconds())
    return str(default).lower() if isinstance(default, bool) else str(default)


def _range(within: tuple[float, float]) -> validate.Range:
    least, most = within
    return validate.Range(least, most, error=f"not {_between(within)}")


def _between(within: tuple[float, float]) -> str:
    return f"{within[0]} to {within[1]}"


def _checked(kind: Callable[..., kinds.Field[Any]], check: Callable[[Any], Any]) -> Callable[..., kinds.Field[Any]]:
    def with_check(**options: Any) -> kinds.Field[Any]:
        return kind(validate=check, **options)

    return with_check


def _url(text: str, allowed: set[str]) -> None:
    """Ours, because to compile marshmallow's expression takes 60 ms of each start."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in allowed and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not _PRINTABLE.fullmatch(text):
        raise ValidationError(f"not a URL ({', '.join(sorted(allowed))})")


def _dsn(text: str) -> None:
    _url(text, allowed={"http", "https"})
    parts = urlsplit(text)
    if not parts.username or not parts.path.rpartition("/")[2].isdecimal():
        raise ValidationError("not a DSN: https://key@host/number")


def _host_and_port(text: str) -> None:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535 or " " in host:
        raise ValidationError("expected host:port, or :port for all addresses")


def _readable_file(path: Path | None) -> None:
    if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
        raise ValidationError("no file that can be read")


def _readable_folder(path: Path | None) -> None:
    if path is not None and not (path.is_dir() and os.access(path, os.R_OK | os.X_OK)):
        raise ValidationError("no folder that can be read")


class _Whole(kinds.Integer):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if not _INTEGER.fullmatch(value):
            raise ValidationError("not a whole number")
        return int(value)


class _Number(kinds.Float):
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


class _Capitals(kinds.String):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return value.upper()


class _Segments(kinds.String):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return value.strip("/")


class _Path(kinds.Field[Any]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Path:
        return Path(value)


class _Truth(kinds.Boolean):
    # As the Go service reads them, in any case.
    _BY_WORD: Final = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        try:
            return self._BY_WORD[value.lower()]
        except KeyError:
            raise ValidationError(f"not one of {', '.join(self._BY_WORD)}") from None


class _Yes(kinds.Boolean):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        return value.lower() in {"true", "1"}
