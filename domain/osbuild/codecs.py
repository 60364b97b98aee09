"""How one value stands in an osbuild blueprint and in v1 customizations: the same table reads and writes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from domain.errors import InvalidRequestError

# What reading or writing gives where there is nothing to put down.
ABSENT: Final = object()
# TOML's numbers have 64 bits and a sign.
_LARGEST_NUMBER: Final = 2**63 - 1
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


class CannotSayError(Exception):
    """A value of v1 has no place in an osbuild blueprint."""


class Codec(Protocol):
    """Both ways of one kind of value, which stands at the dotted path `at`.

    Paths of what has no place on the other side are appended to `lost`; what holds nothing is ABSENT.
    """

    def read(self, value: Any, at: str, lost: list[str]) -> Any:
        """From TOML to v1. Raises InvalidRequestError, naming `at` and what was expected."""

    def write(self, value: Any, at: str, lost: list[str]) -> Any:
        """From v1 to TOML. Raises CannotSayError where all of it is lost."""


def expected(at: str, what: str) -> InvalidRequestError:
    """The error for what stands at a path, and is not what it has to be."""
    return InvalidRequestError(f"{at}: expected {what}")


def below(at: str, key: str) -> str:
    """The path of a key below a path; quoted as TOML quotes it, where it has to be."""
    shown = key if _BARE_KEY.fullmatch(key) else json.dumps(key).replace("\x7f", "\\u007f")
    return f"{at}.{shown}" if at else shown


def as_mapping(value: Any, at: str) -> Mapping[str, Any]:
    """`value`, where it is a table. Raises InvalidRequestError where not."""
    if not isinstance(value, Mapping):
        raise expected(at, "a table")
    return value


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value that is the same on both sides; `what` names it in an error."""

    what: str
    fits: Callable[[Any], bool]

    def read(self, value: Any, at: str, _lost: list[str]) -> Any:
        """See Codec."""
        if not self.fits(value):
            raise expected(at, self.what)
        return value

    def write(self, value: Any, _at: str, _lost: list[str]) -> Any:
        """See Codec."""
        if not self.fits(value):
            raise CannotSayError
        return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_LARGEST_NUMBER - 1 <= value <= _LARGEST_NUMBER


TEXT: Final = Scalar("text", lambda value: isinstance(value, str))
NAME: Final = Scalar("text that is not empty", lambda value: isinstance(value, str) and value != "")
FLAG: Final = Scalar("true or false", lambda value: isinstance(value, bool))
NUMBER: Final = Scalar("a whole number", _is_number)
OWNER: Final = Scalar("a name or a whole number", lambda value: isinstance(value, str) or _is_number(value))


def one_of(*texts: str) -> Scalar:
    """One of these texts."""
    return Scalar(f"one of {', '.join(texts)}", lambda value: isinstance(value, str) and value in texts)


@dataclass(frozen=True, slots=True)
class OneSided:
    """What the other side has no place for: lost, unless it is one of the values that say nothing."""

    harmless: tuple[Any, ...] = ()

    def read(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        if not _is_among(value, self.harmless):
            lost.append(at)
        return ABSENT

    def write(self, value: Any, _at: str, _lost: list[str]) -> Any:
        """See Codec."""
        if not _is_among(value, self.harmless):
            raise CannotSayError
        return ABSENT


def _is_among(value: Any, some: tuple[Any, ...]) -> bool:
    return any(type(value) is type(one) and value == one for one in some)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of values of one kind."""

    item: Codec

    def read(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        if not isinstance(value, list):
            raise expected(at, "a list")
        items = [self.item.read(one, f"{at}[{index}]", lost) for index, one in enumerate(value)]
        return [one for one in items if one is not ABSENT]

    def write(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        if not isinstance(value, list):
            raise CannotSayError
        items = []
        for index, one in enumerate(value):
            try:
                items.append(self.item.write(one, f"{at}[{index}]", lost))
            except CannotSayError:
                lost.append(f"{at}[{index}]")
        items = [one for one in items if one is not ABSENT]
        return ABSENT if value and not items else items


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a table: `ours` in v1, `theirs` (or its older name) in osbuild; empty where that side has none.

    `required` is what an entry cannot do without.
    """

    ours: str
    theirs: str
    codec: Codec
    required: bool = False
    older: str = ""


def same(name: str, codec: Codec, *, required: bool = False) -> Field:
    """A key that both sides have by one name."""
    return Field(name, name, codec, required)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of these keys. Any other is lost."""

    fields: tuple[Field, ...]

    def read(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        found: dict[str, Any] = {}
        for key, theirs in as_mapping(value, at).items():
            field = next((one for one in self.fields if key and key in (one.theirs, one.older)), None)
            if field is None or (field.ours and field.ours in found):
                lost.append(below(at, key))
                continue
            ours = field.codec.read(theirs, below(at, key), lost)
            if ours is not ABSENT:
                found[field.ours] = ours
        for field in self.fields:
            if field.required and field.ours not in found:
                raise InvalidRequestError(f"{below(at, field.theirs)}: missing")
        return found

    def write(self, value: Any, at: str, lost: list[str]) -> Any:
        """See Codec."""
        if not isinstance(value, Mapping):
            raise CannotSayError
        written, lost_here = self._written(value, at)
        if any(field.required and field.theirs not in written for field in self.fields):
            raise CannotSayError
        lost.extend(lost_here)
        return ABSENT if lost_here and not written else written

    def _written(self, value: Mapping[str, Any], at: str) -> tuple[dict[str, Any], list[str]]:
        written: dict[str, Any] = {}
        lost: list[str] = []
        for key, ours in value.items():
            if ours is None:
                continue
            field = next((one for one in self.fields if key and key == one.ours), None)
            if field is None:
                lost.append(below(at, key))
                continue
            try:
                theirs = field.codec.write(ours, below(at, key), lost)
            except CannotSayError:
                lost.append(below(at, key))
                continue
            if theirs is not ABSENT:
                written[field.theirs] = theirs
        return written, lost
