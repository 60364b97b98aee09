"""Codecs: tables that convert values between osbuild blueprints and the API's customizations in both directions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from domain.errors import InvalidRequestError
from domain.similar_names import describe_choices

# The result of a conversion that yields no value.
ABSENT: Final = object()
# TOML's numbers have 64 bits and a sign.
_LARGEST_NUMBER: Final = 2**63 - 1
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


class NotExpressibleError(Exception):
    """An osbuild blueprint cannot express a value of the API."""


class Codec(Protocol):
    """Converts values of one kind, in both directions.

    `at` is the dotted path of the value. Paths of parts that the other side does not support are appended to
    `unsupported`. The result is ABSENT if no value remains.
    """

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """Convert from TOML to the API. Raises InvalidRequestError naming the path and what is allowed."""

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """Convert from the API to TOML. Raises NotExpressibleError if the whole value is unsupported."""


def expected_error(at: str, what: str) -> InvalidRequestError:
    """The error for a wrong value at a path; `what` is what is allowed."""
    return InvalidRequestError(f"{at}: expected {what}")


def child_path(at: str, key: str) -> str:
    """The path of a key inside a table; the key is quoted by the rules of TOML if necessary."""
    quoted = key if _BARE_KEY.fullmatch(key) else json.dumps(key).replace("\x7f", "\\u007f")
    return f"{at}.{quoted}" if at else quoted


def as_mapping(value: Any, at: str) -> Mapping[str, Any]:
    """Return the value if it is a table. Raises InvalidRequestError if not."""
    if not isinstance(value, Mapping):
        raise expected_error(at, "a table")
    return value


@dataclass(frozen=True, slots=True)
class Scalar:
    """A codec for values that are the same on both sides.

    `what` describes allowed values in errors; `is_valid` checks a value.
    """

    what: str
    is_valid: Callable[[Any], bool]

    def read(self, value: Any, at: str, _unsupported: list[str]) -> Any:
        """See Codec."""
        if not self.is_valid(value):
            raise expected_error(at, self.what)
        return value

    def write(self, value: Any, _at: str, _unsupported: list[str]) -> Any:
        """See Codec."""
        if not self.is_valid(value):
            raise NotExpressibleError
        return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_LARGEST_NUMBER - 1 <= value <= _LARGEST_NUMBER


TEXT: Final = Scalar("text", lambda value: isinstance(value, str))
NAME: Final = Scalar("text that is not empty", lambda value: isinstance(value, str) and value != "")
FLAG: Final = Scalar("true or false", lambda value: isinstance(value, bool))
NUMBER: Final = Scalar("a whole number", _is_number)
OWNER: Final = Scalar("a name or a whole number", lambda value: isinstance(value, str) or _is_number(value))


def unknown_name_error(at: str, value: str, allowed: Sequence[str]) -> InvalidRequestError:
    """The error for a text that is none of the allowed ones."""
    return expected_error(at, describe_choices(value, allowed))


@dataclass(frozen=True, slots=True)
class OneOf:
    """A codec for one of a few texts. An empty text counts as none if `empty_is_absent`."""

    texts: tuple[str, ...]
    empty_is_absent: bool = False

    def read(self, value: Any, at: str, _unsupported: list[str]) -> Any:
        """See Codec."""
        if value == "" and self.empty_is_absent:
            return ABSENT
        if not isinstance(value, str):
            raise expected_error(at, f"one of {', '.join(self.texts)}")
        if value not in self.texts:
            raise unknown_name_error(at, value, self.texts)
        return value

    def write(self, value: Any, _at: str, _unsupported: list[str]) -> Any:
        """See Codec."""
        if value == "" and self.empty_is_absent:
            return ABSENT
        if not isinstance(value, str) or value not in self.texts:
            raise NotExpressibleError
        return value


@dataclass(frozen=True, slots=True)
class OptionalText:
    """A codec for texts that count as absent if they are empty."""

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        return TEXT.read(value, at, unsupported) or ABSENT

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        return TEXT.write(value, at, unsupported) or ABSENT


@dataclass(frozen=True, slots=True)
class OneSided:
    """A codec for values that the other side does not support, except the `ignored` ones, which are defaults there."""

    ignored: tuple[Any, ...] = ()

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        if not _is_among(value, self.ignored):
            unsupported.append(at)
        return ABSENT

    def write(self, value: Any, _at: str, _unsupported: list[str]) -> Any:
        """See Codec."""
        if not _is_among(value, self.ignored):
            raise NotExpressibleError
        return ABSENT


def _is_among(value: Any, some: tuple[Any, ...]) -> bool:
    return any(type(value) is type(one) and value == one for one in some)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A codec for lists of values of one kind."""

    item: Codec

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        if not isinstance(value, list):
            raise expected_error(at, "a list")
        items = [self.item.read(one, f"{at}[{index}]", unsupported) for index, one in enumerate(value)]
        return [one for one in items if one is not ABSENT]

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        if not isinstance(value, list):
            raise NotExpressibleError
        items = []
        for index, one in enumerate(value):
            try:
                items.append(self.item.write(one, f"{at}[{index}]", unsupported))
            except NotExpressibleError:
                unsupported.append(f"{at}[{index}]")
        items = [one for one in items if one is not ABSENT]
        return ABSENT if value and not items else items


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a table.

    `api_key` is its key in the API, `toml_key` that in osbuild blueprints, `old_toml_key` another key that is read
    there. A key is empty if that side does not have the field. A table without a `required` field is invalid.
    """

    api_key: str
    toml_key: str
    codec: Codec
    required: bool = False
    old_toml_key: str = ""


def shared_field(name: str, codec: Codec, *, required: bool = False) -> Field:
    """A field that has the same key on both sides."""
    return Field(name, name, codec, required)


@dataclass(frozen=True, slots=True)
class Table:
    """A codec for tables with these fields. Other keys are unsupported."""

    fields: tuple[Field, ...]

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        found: dict[str, Any] = {}
        found_keys: dict[str, str] = {}
        for key, toml_value in as_mapping(value, at).items():
            field = next((one for one in self.fields if key and key in (one.toml_key, one.old_toml_key)), None)
            if field is None:
                unsupported.append(child_path(at, key))
                continue
            path = child_path(at, key)
            api_value = field.codec.read(toml_value, path, unsupported)
            if api_value is ABSENT:
                continue
            if field.api_key in found and found[field.api_key] != api_value:
                raise InvalidRequestError(f"{path}: contradicts {found_keys[field.api_key]}, which means the same")
            found[field.api_key], found_keys[field.api_key] = api_value, path
        for field in self.fields:
            if field.required and field.api_key not in found:
                raise InvalidRequestError(f"{child_path(at, field.toml_key)}: missing")
        return found

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        if not isinstance(value, Mapping):
            raise NotExpressibleError
        written, unsupported_here = self._write_fields(value, at)
        if any(field.required and field.toml_key not in written for field in self.fields):
            raise NotExpressibleError
        unsupported.extend(unsupported_here)
        return ABSENT if unsupported_here and not written else written

    def _write_fields(self, value: Mapping[str, Any], at: str) -> tuple[dict[str, Any], list[str]]:
        written: dict[str, Any] = {}
        unsupported: list[str] = []
        for key, api_value in value.items():
            if api_value is None:
                continue
            field = next((one for one in self.fields if key and key == one.api_key), None)
            if field is None:
                unsupported.append(child_path(at, key))
                continue
            try:
                toml_value = field.codec.write(api_value, child_path(at, key), unsupported)
            except NotExpressibleError:
                unsupported.append(child_path(at, key))
                continue
            if toml_value is not ABSENT:
                written[field.toml_key] = toml_value
        return written, unsupported
