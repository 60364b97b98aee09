"""Codecs that convert values between osbuild blueprints (TOML files) and the API (openapi.yaml), in both directions.

A codec for a whole blueprint is built of smaller ones: `Scalar` and `OneOf` convert single values, `ListOf` lists, and
`Table` TOML tables, which are JSON objects in the API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from domain.errors import InvalidRequestError
from domain.similar_names import describe_choices

# The result of a conversion if the other side gets no value. None would be a value.
ABSENT: Final = object()
# TOML 1.0 integers are signed and have 64 bits.
_LARGEST_NUMBER: Final = 2**63 - 1
# Keys that TOML 1.0 allows without quotes.
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7e]")


class NotExpressibleError(Exception):
    """An osbuild blueprint cannot express a value of the API. The codec that contains the value reports its path."""


class Codec(Protocol):
    """Converts values of one kind, in both directions.

    `at` is the path of the value for messages, such as `customizations.user[0].name`. A codec appends to `unsupported`
    the paths of those parts of the value that the other side does not support, and converts the rest. ABSENT as the
    result means that the other side gets no value. A list or table of which no part is supported is read as an empty
    one, but written as ABSENT.
    """

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """Convert from TOML to the API. Raises InvalidRequestError naming the path and what is allowed."""

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """Convert from the API to TOML.

        Raises NotExpressibleError if the whole value is unsupported; the caller then appends `at` to `unsupported`.
        """


def expected_error(at: str, allowed: str) -> InvalidRequestError:
    """Return the error for a wrong value at the path `at`; `allowed` describes the allowed values."""
    return InvalidRequestError(f"{at}: expected {allowed}")


def child_path(at: str, key: str) -> str:
    """Return the dotted path of `key` in the table at the path `at`, which is empty for the whole document.

    A key that TOML does not allow without quotes is quoted as a TOML basic string.
    """
    quoted = key if _BARE_KEY.fullmatch(key) else _NOT_ASCII.sub(_escape, json.dumps(key, ensure_ascii=False))
    return f"{at}.{quoted}" if at else quoted


def _escape(character: re.Match[str]) -> str:
    # JSON would write a pair of surrogates, which TOML does not read.
    return f"\\U{ord(character[0]):08x}" if character[0] > "\uffff" else f"\\u{ord(character[0]):04x}"


def as_mapping(value: Any, at: str) -> Mapping[str, Any]:
    """Return the value if it is a table. Raises InvalidRequestError if not."""
    if not isinstance(value, Mapping):
        raise expected_error(at, "a table")
    return value


@dataclass(frozen=True, slots=True)
class Scalar:
    """A codec for single values that are the same on both sides.

    `allowed` describes the allowed values in errors; `is_valid` says whether a value is one of them.
    """

    allowed: str
    is_valid: Callable[[Any], bool]

    def read(self, value: Any, at: str, _unsupported: list[str]) -> Any:
        """See Codec."""
        if not self.is_valid(value):
            raise expected_error(at, self.allowed)
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
# The user or the group that owns a file or directory.
OWNER: Final = Scalar("a name or a whole number", lambda value: isinstance(value, str) or _is_number(value))


def unknown_name_error(at: str, value: str, allowed: Sequence[str]) -> InvalidRequestError:
    """Return the error for a text at the path `at` that is not in `allowed`. It may suggest a similar text."""
    return expected_error(at, describe_choices(value, allowed))


@dataclass(frozen=True, slots=True)
class OneOf:
    """A codec for a text out of `texts`. With `empty_is_absent`, an empty text is allowed too, and becomes ABSENT."""

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
    """A codec for any text. An empty one is converted to ABSENT."""

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        return TEXT.read(value, at, unsupported) or ABSENT

    def write(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec."""
        return TEXT.write(value, at, unsupported) or ABSENT


@dataclass(frozen=True, slots=True)
class OneSided:
    """A codec for a field that only one of the two sides has. The result is always ABSENT.

    Values in `ignored` are dropped without a report, because nothing is lost: most are the default of the other side.
    Any other value is unsupported.
    """

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


def _is_among(value: Any, candidates: tuple[Any, ...]) -> bool:
    # In Python, 0 == False and 1 == True: compare the types too.
    return any(type(value) is type(candidate) and value == candidate for candidate in candidates)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A codec for lists. `item` is the codec of each item; an item that it converts to ABSENT is left out."""

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

    `api_key` is its key in the API, and `toml_key` its key in osbuild blueprints; an empty key means that this side
    does not have the field. Blueprints with `alternative_toml_key` are read too, but it is never written. A table
    without a `required` field cannot be converted.
    """

    api_key: str
    toml_key: str
    codec: Codec
    required: bool = False
    alternative_toml_key: str = ""


def shared_field(name: str, codec: Codec, *, required: bool = False) -> Field:
    """Return a field with the key `name` on both sides."""
    return Field(name, name, codec, required)


@dataclass(frozen=True, slots=True)
class Table:
    """A codec for tables with these fields. Other keys are unsupported. In the API, None counts as no value."""

    fields: tuple[Field, ...]

    def read(self, value: Any, at: str, unsupported: list[str]) -> Any:
        """See Codec. Raises InvalidRequestError also if both TOML keys of a field are there with different values."""
        found: dict[str, Any] = {}
        found_keys: dict[str, str] = {}
        for key, toml_value in as_mapping(value, at).items():
            field = next((one for one in self.fields if key and key in (one.toml_key, one.alternative_toml_key)), None)
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
        # The caller then reports the path of the whole table, so those of its fields are not added.
        if any(field.required and field.toml_key not in written for field in self.fields):
            raise NotExpressibleError
        unsupported.extend(unsupported_here)
        return ABSENT if unsupported_here and not written else written

    def _write_fields(self, value: Mapping[str, Any], at: str) -> tuple[dict[str, Any], list[str]]:
        """Return the TOML table, and the paths of the unsupported fields."""
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
