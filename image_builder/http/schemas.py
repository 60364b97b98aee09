"""The contract's schemas made ready once, at start: one validator and one normaliser for each.

A validator is jsonschema-rs' for draft 4, which OpenAPI 3.0 is built on (there `1.0` is no integer). A normaliser
fills in defaults and drops keys the contract does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import jsonschema_rs

from domain.errors import InvalidRequestError
from domain.uuids import is_uuid
from image_builder.http.schema_errors import MASK, Path, SchemaErrors

Schema = Mapping[str, Any]
Normalise = Callable[[Any], Any]

# A person reads it.
_LONGEST_COMPLAINT: Final = 1000
# More levels than anybody needs where any shape is allowed; what writes JSON ends at 254.
DEEPEST: Final = 64


def resolved(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    """The schema that a reference leads to, with what `allOf` of it alone adds; or the schema itself."""
    while "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    if "allOf" in schema:
        (base,) = schema["allOf"]
        added = {key: value for key, value in schema.items() if key != "allOf"}
        return {**resolved(base, components), **added}
    return schema


class Checker:
    """Checks and completes the documents of one schema of the contract."""

    def __init__(self, schema: Schema, components: Mapping[str, Schema]) -> None:
        """`components` are the contract's schemas by name."""

        def validator_of(part: Schema) -> jsonschema_rs.Draft4Validator:
            # Only what it needs: a validator that holds the whole contract takes a megabyte.
            needed = {name: _translated(components[name]) for name in _reached(part, components)}
            return jsonschema_rs.Draft4Validator(
                {**_translated(part), "components": {"schemas": needed}},
                mask=MASK,
                formats={"uuid": is_uuid},
                validate_formats=True,
            )

        self._validator = validator_of(schema)
        self._errors = SchemaErrors(schema, lambda part: resolved(part, components), validator_of)
        self._normalise = _normaliser(schema, components)

    def accept(self, document: Any) -> Any:
        """The document with defaults and without unknown keys.

        Raises InvalidRequestError naming the field and what was expected of it; values are not repeated, they may
        be secrets.
        """
        if not self.fits(document):
            raise InvalidRequestError(self._complaint(document))
        return self.complete(document)

    def fits(self, document: Any) -> bool:
        """Whether the document is valid."""
        return self._validator.is_valid(document)

    def complete(self, document: Any) -> Any:
        """A valid document with defaults and without unknown keys. Raises InvalidRequestError for endless nesting."""
        return self._normalise(document)

    def _complaint(self, document: Any) -> str:
        try:
            # The deepest error is the one nearest to what the caller got wrong.
            path, message = max(self._errors.first(document), key=lambda error: len(error[0]))
        except ValueError:  # what writes errors ends at some depth
            return "body: nested too deeply"
        return shortened(f"{_field(path) or 'body'}: {message}")


def shortened(text: str) -> str:
    """`text` as far as a person reads."""
    return text if len(text) <= _LONGEST_COMPLAINT else text[: _LONGEST_COMPLAINT - 1] + "…"


def _field(path: Path) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _reached(schema: Schema, components: Mapping[str, Schema]) -> set[str]:
    """The names of the components that a schema refers to, directly or by others."""
    names: set[str] = set()
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            name = str(part.get("$ref", "")).rpartition("/")[2]
            if name and name not in names:
                names.add(name)
                waiting.append(components[name])
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
    return names


def _translated(schema: Any) -> Any:
    """An OpenAPI 3.0 schema in JSON Schema's terms."""
    if isinstance(schema, list):
        return [_translated(entry) for entry in schema]
    if not isinstance(schema, Mapping):
        return schema
    translated = {
        key: {name: _translated(value) for name, value in entry.items()} if key == "properties" else _translated(entry)
        for key, entry in schema.items()
        if key not in {"example", "description", "nullable", "default"} and not (key == "format" and entry != "uuid")
    }
    if schema.get("nullable"):
        translated["type"] = [schema["type"], "null"]
    if "required" in translated:
        # What has a default may be left out, also where the contract requires it.
        properties = schema.get("properties", {})
        required = [name for name in schema["required"] if "default" not in properties.get(name, {})]
        translated.pop("required")
        if required:
            translated["required"] = required
    return translated


def _normaliser(schema: Schema, components: Mapping[str, Schema]) -> Normalise:
    schema = resolved(schema, components)
    if "anyOf" in schema:
        return _shallow  # the contract's only one in a request is the upload options, which are kept as sent
    if "oneOf" in schema:
        return _one_of(schema["oneOf"], components)
    if "properties" in schema:
        return _object(schema["properties"], components)
    if "items" in schema:
        return _list(_normaliser(schema["items"], components))
    return _unchanged


def _unchanged(value: Any) -> Any:
    return value


def _list(entry: Normalise) -> Normalise:
    if entry is _unchanged:
        return _unchanged
    return lambda values: [entry(value) for value in values]


def _object(properties: Mapping[str, Schema], components: Mapping[str, Schema]) -> Normalise:
    known = {name: _normaliser(schema, components) for name, schema in properties.items()}
    defaults = dict(_defaults(properties, components))

    def normalise(document: Mapping[str, Any]) -> dict[str, Any]:
        kept = {name: known[name](value) for name, value in document.items() if name in known}
        for name, default in defaults.items():
            kept.setdefault(name, default)
        return kept

    return normalise


def _defaults(properties: Mapping[str, Schema], components: Mapping[str, Schema]) -> Iterator[tuple[str, Any]]:
    for name, schema in properties.items():
        meant = resolved(schema, components)
        if "default" in meant:
            yield name, meant["default"]


def _one_of(branches: list[Schema], components: Mapping[str, Schema]) -> Normalise:
    options = [Checker(branch, components) for branch in branches if _normaliser(branch, components) is not _unchanged]
    if not options:
        return _unchanged

    def normalise(value: Any) -> Any:
        for option in options:
            if option.fits(value):
                return option.complete(value)
        return value

    return normalise


def refuse_nul(document: Any) -> None:
    """Raise InvalidRequestError for a NUL in any text of the document: no JSON column can hold one."""
    if any("\0" in text for text in _texts(document)):
        raise InvalidRequestError("the body holds a NUL character")


def _texts(document: Any) -> Iterator[str]:
    for value, _ in _walk(document):
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from value.keys()


def _shallow(value: Any) -> Any:
    """What the contract lets pass in any shape, as it is, unless it is nested without end."""
    if any(depth > DEEPEST for _, depth in _walk(value)):
        raise InvalidRequestError(f"the body is nested more than {DEEPEST} levels deep")
    return value


def _walk(document: Any) -> Iterator[tuple[Any, int]]:
    """Every value of a document, with the number of levels it is below the top."""
    waiting: list[tuple[Any, int]] = [(document, 0)]
    while waiting:
        value, depth = waiting.pop()
        yield value, depth
        if isinstance(value, dict):
            waiting.extend((entry, depth + 1) for entry in value.values())
        elif isinstance(value, list):
            waiting.extend((entry, depth + 1) for entry in value)
