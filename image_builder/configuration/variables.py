"""Declarations of environment variables as fields of frozen dataclasses, and reading them.

`Section` declares a variable, `read_variables` parses the environment, `build_settings` makes the dataclass, whose
fields may be dataclasses with variables in turn. `image-builder config` and docs/configuration.md show the same
declarations.

    class RateLimitSettings:
        reads: int = _rates.integer("RATE_LIMIT_READS", 6000, "requests that read", within=(1, 10**6))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, TypeVar, cast, get_type_hints
from urllib.parse import unquote, urlsplit

from marshmallow import EXCLUDE, Schema, ValidationError
from marshmallow.fields import Field

from image_builder.configuration import field_types

_VARIABLE: Final = "variable"
_MASK: Final = "********"
_URL: Final = "URL"
_ERROR_MESSAGES: Final = {
    "required": "needed, and not set",
    "null": "needed, and not set",
    "invalid": "not what it should be",
}


class SettingsClass(Protocol):
    """A dataclass whose fields are variables, or dataclasses of this kind.

    Its static method `find_faults`, where it has one, checks variables that depend on each other: it takes parsed
    values by variable, and yields pairs of a variable and what is wrong with it.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]


T = TypeVar("T")
SettingsT = TypeVar("SettingsT", bound=SettingsClass)


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable. `values` and `shown_default` are how the documentation names what it may hold.

    `describe_automatic`, where the value depends on the system, describes what an unset variable means here.
    """

    name: str
    section: Section
    meaning: str
    values: str
    shown_default: str
    secret: bool
    required: bool
    field_type: field_types.FieldFactory
    default: Any
    describe_automatic: Callable[[], str] | None = None

    def schema_field(self) -> Field[Any]:
        """The marshmallow field that parses the variable."""
        options: dict[str, Any] = {"required": True} if self.required else {"load_default": self.default}
        return self.field_type(data_key=self.name, error_messages=_ERROR_MESSAGES, **options)

    def mask(self, value: str) -> str:
        """A value of the variable as logs and people may see it."""
        return _MASK if self.secret and value and self.values != _URL else without_credentials(value)


@dataclass(frozen=True, slots=True)
class Section:
    """A group of variables in the documentation. Each method declares one variable as a field of a dataclass.

    The arguments are the variable's name, its default, and its meaning: a clause without a full stop.
    """

    title: str
    explanation: str = ""

    def text(self, name: str, default: str, meaning: str, *, secret: bool = False) -> str:
        """Any text."""
        return self._declare(name, default, meaning, "text", field_types.text, secret=secret)

    def path_segments(self, name: str, default: str, meaning: str) -> str:
        """Segments of a URL path, read without the slashes around them."""
        return self._declare(name, default, meaning, "text", field_types.path_segments)

    def url(self, name: str, default: str, meaning: str, *, secret: bool = False, schemes: str = "http https") -> str:
        """A URL with one of the `schemes`, which blanks separate."""
        kind = field_types.url(frozenset(schemes.split()))
        return self._declare(name, default, meaning, _URL, kind, secret=secret)

    def required_url(self, name: str, meaning: str) -> str:
        """An http or https URL that must be set."""
        kind = field_types.url(frozenset({"http", "https"}))
        return self._declare(name, "", meaning, _URL, kind, required=True)

    def integer(self, name: str, default: int, meaning: str, *, within: tuple[int, int]) -> int:
        """A whole number."""
        return self._declare(name, default, meaning, field_types.format_range(within), field_types.integer(within))

    def automatic_integer(
        self,
        name: str,
        meaning: str,
        *,
        within: tuple[int, int],
        shown_default: str,
        describe_automatic: Callable[[], str] | None = None,
    ) -> int | None:
        """A whole number; None when the variable is not set and the service chooses the number."""
        values, kind = field_types.format_range(within), field_types.integer(within)
        variable = Variable(
            name, self, meaning, values, shown_default, False, False, kind, None, describe_automatic=describe_automatic
        )
        return cast(int | None, field(metadata={_VARIABLE: variable}))

    def number(self, name: str, default: float, meaning: str, *, within: tuple[float, float]) -> float:
        """A decimal number."""
        return self._declare(name, default, meaning, field_types.format_range(within), field_types.number(within))

    def seconds(self, name: str, default: float, meaning: str, *, within: tuple[float, float]) -> timedelta:
        """A number of seconds, read as a timedelta."""
        values, kind = field_types.format_range(within), field_types.seconds(within)
        return self._declare(name, timedelta(seconds=default), meaning, values, kind)

    def choice(
        self, name: str, default: str, meaning: str, *, allowed: tuple[str, ...], ignore_case: bool = False
    ) -> str:
        """One of several words; with `ignore_case` they are upper-case words, and the value becomes one."""
        values = ", ".join(f"`{word}`" for word in allowed)
        return self._declare(name, default, meaning, values, field_types.choice(allowed, ignore_case=ignore_case))

    def boolean(self, name: str, default: bool, meaning: str) -> bool:
        """True or false; other words are errors."""
        return self._declare(name, default, meaning, "`true` or `false`", field_types.boolean)

    def lenient_boolean(self, name: str, meaning: str) -> bool:
        """True for `true` or `1` in any case; false for everything else."""
        return self._declare(name, False, meaning, "`true` or `1`", field_types.lenient_boolean)

    def file(self, name: str, meaning: str) -> Path | None:
        """A readable file; None when the variable is not set."""
        default: Path | None = None
        return self._declare(name, default, meaning, "file", field_types.readable_file)

    def folder(self, name: str, default: Path, meaning: str, *, shown_default: str) -> Path:
        """A readable folder."""
        kind = field_types.readable_folder
        return self._declare(name, default, meaning, "folder", kind, shown_default=shown_default)

    def listen_address(self, name: str, default: str, meaning: str) -> str:
        """An address to listen on, as `host:port`."""
        return self._declare(name, default, meaning, "host:port", field_types.listen_address)

    def dsn(self, name: str, meaning: str) -> str:
        """The address and key of an error report server; empty when the variable is not set."""
        return self._declare(name, "", meaning, _URL, field_types.dsn, secret=True)

    def _declare(
        self,
        name: str,
        default: T,
        meaning: str,
        values: str,
        field_type: field_types.FieldFactory,
        *,
        secret: bool = False,
        required: bool = False,
        shown_default: str = "",
    ) -> T:
        shown = shown_default or (f"`{format_default(default)}`" if format_default(default) else "")
        variable = Variable(name, self, meaning, values, shown, secret, required, field_type, default)
        return cast(T, field(metadata={_VARIABLE: variable}, repr=not secret))


@cache
def variables(settings_class: type[SettingsClass]) -> tuple[Variable, ...]:
    """All variables of a settings class and of the settings classes inside it, in the order of their declaration."""
    return tuple(_variables(settings_class))


def _variables(settings_class: type[SettingsClass]) -> Iterator[Variable]:
    for _, declared in _fields(settings_class):
        if isinstance(declared, Variable):
            yield declared
        else:
            yield from _variables(declared)


def _fields(settings_class: type[SettingsClass]) -> Iterator[tuple[str, Variable | type[SettingsClass]]]:
    """The fields by name: variables, and settings classes inside."""
    types = get_type_hints(settings_class)
    for each in fields(settings_class):
        variable = each.metadata.get(_VARIABLE)
        if variable is not None:
            yield each.name, variable
        elif is_dataclass(types[each.name]):
            yield each.name, types[each.name]


def read_variables(
    settings_class: type[SettingsClass], environment: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Parse the variables of a settings class.

    Returns the parsed values by variable, and by variable what is wrong with those that cannot be used.
    """
    schema = Schema.from_dict({variable.name: variable.schema_field() for variable in variables(settings_class)})
    faults: dict[str, str] = {}
    try:
        values = schema(unknown=EXCLUDE).load(dict(environment))
    except ValidationError as error:
        values = error.valid_data
        faults = {name: "; ".join(messages) for name, messages in error.messages_dict.items()}
    find_faults: Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]] | None
    find_faults = getattr(settings_class, "find_faults", None)
    if find_faults is not None:
        faults |= {name: fault for name, fault in find_faults(values) if name not in faults}
    return values, faults


def build_settings(settings_class: type[SettingsT], values: Mapping[str, Any]) -> SettingsT:
    """The settings that parsed values, by variable, make."""
    return settings_class(
        **{
            name: values[declared.name] if isinstance(declared, Variable) else build_settings(declared, values)
            for name, declared in _fields(settings_class)
        }
    )


def secret_values(settings_class: type[SettingsClass], environment: Mapping[str, str]) -> Iterator[str]:
    """The parts of the variables' values that logs must not show: secrets, and credentials in URLs."""
    for variable in variables(settings_class):
        value = environment.get(variable.name, "")
        if variable.secret and variable.values != _URL:
            yield value
            # Each part of a list of headers by itself: libraries name the header that they cannot parse.
            yield from value.replace("=", ",").split(",")
        elif "://" in value:
            yield from _credentials(value)


def _credentials(url: str) -> Iterator[str]:
    """User and password in a URL; the whole URL where it cannot be parsed."""
    try:
        parts = urlsplit(url)
    except ValueError:
        yield url
        return
    yield from (unquote(part) for part in {parts.password or parts.username, parts.password} if part)


def format_faults(faults: Mapping[str, str]) -> str:
    """Faults, by variable, as one text for the operator."""
    return "The configuration cannot be used:" + "".join(f"\n  {name}: {fault}" for name, fault in faults.items())


def without_credentials(value: str) -> str:
    """The value; a URL without user, password and query."""
    if "://" not in value:
        return value
    try:
        parts = urlsplit(value)
    except ValueError:
        return _MASK
    _, at, host = parts.netloc.rpartition("@")
    masked = parts._replace(netloc=f"{_MASK}@{host}" if at else host, query=_MASK if parts.query else "", fragment="")
    return masked.geturl()


def format_default(default: Any) -> str:
    """A default as it would be written in the environment; empty where there is none."""
    if default is None or default == "":
        return ""
    if isinstance(default, timedelta):
        return str(default.total_seconds())
    return str(default).lower() if isinstance(default, bool) else str(default)
