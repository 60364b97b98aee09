"""Validates JSON documents by the schemas of openapi.yaml, and normalizes them.

A validator and a normalizer are created for each schema at start. The validators are those of jsonschema-rs for draft 4
of JSON Schema, which OpenAPI 3.0 is based on (in draft 4, `1.0` is no integer). A normalizer adds defaults and removes
unknown keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import jsonschema_rs

from domain.errors import InvalidRequestError
from domain.texts import shorten
from domain.uuids import is_uuid
from image_builder.http.schema_errors import VALUE_PLACEHOLDER, Path, SchemaErrors

Schema = Mapping[str, Any]
Normalizer = Callable[[Any], Any]

# Characters of an error message.
_MAX_MESSAGE_LENGTH: Final = 1000
# Levels of nesting in values of any shape: far more than real ones have, and less than 254, the limit of orjson.
_MAX_DEPTH: Final = 64


def resolve_references(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    """Return a schema with its `$ref` followed, or its `allOf` of one schema merged into it; others are unchanged.

    `components` are the schemas by name.
    """
    while "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    if "allOf" in schema:
        (base,) = schema["allOf"]
        added = {key: value for key, value in schema.items() if key != "allOf"}
        return {**resolve_references(base, components), **added}
    return schema


class Checker:
    """Validates and normalizes documents of one schema."""

    def __init__(self, schema: Schema, components: Mapping[str, Schema]) -> None:
        """`components` are the schemas of openapi.yaml by name."""

        def create_validator(part: Schema) -> jsonschema_rs.Draft4Validator:
            # A validator with all components would take a megabyte, so it gets only those that the schema refers to.
            needed = {name: _to_draft_4(components[name]) for name in _referenced_names(part, components)}
            return jsonschema_rs.Draft4Validator(
                {**_to_draft_4(part), "components": {"schemas": needed}},
                mask=VALUE_PLACEHOLDER,
                formats={"uuid": is_uuid},
                validate_formats=True,
            )

        self._validator = create_validator(schema)
        self._errors = SchemaErrors(schema, lambda part: resolve_references(part, components), create_validator)
        self._normalize = _create_normalizer(schema, components)

    def accept(self, document: Any) -> Any:
        """Return the document with defaults and without unknown keys.

        Raises InvalidRequestError for an invalid document. The error names the field and what is allowed, but not the
        value, which may be a secret.
        """
        if not self.is_valid(document):
            raise InvalidRequestError(self._error_message(document))
        return self.normalize(document)

    def is_valid(self, document: Any) -> bool:
        """Whether the document is valid."""
        return self._validator.is_valid(document)

    def normalize(self, document: Any) -> Any:
        """Return a valid document with defaults and without unknown keys.

        Raises InvalidRequestError if a value of any shape is nested too deeply.
        """
        return self._normalize(document)

    def find_errors(self, document: Any) -> list[tuple[str, str]]:
        """Return the first errors of a document, each with the path of its field and a message; none if it is valid."""
        if self.is_valid(document):
            return []
        try:
            found = self._errors.find_first(document)
        except ValueError:  # see _error_message
            return [("", "nested too deeply")]
        return [(_format_path(path), shorten(message, _MAX_MESSAGE_LENGTH)) for path, message in found]

    def _error_message(self, document: Any) -> str:
        try:
            # The deepest error is the nearest to the client's mistake.
            path, message = max(self._errors.find_first(document), key=lambda error: len(error[0]))
        except ValueError:  # jsonschema-rs cannot format an error of a value with too many levels
            return "body: nested too deeply"
        return shorten(f"{_format_path(path) or 'body'}: {message}", _MAX_MESSAGE_LENGTH)


def _format_path(path: Path) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _referenced_names(schema: Schema, components: Mapping[str, Schema]) -> set[str]:
    """Return the names of the components that a schema refers to, directly or through other components."""
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


def _to_draft_4(schema: Any) -> Any:
    """Translate an OpenAPI 3.0 schema to JSON Schema draft 4."""
    if isinstance(schema, list):
        return [_to_draft_4(entry) for entry in schema]
    if not isinstance(schema, Mapping):
        return schema
    translated = {
        key: {name: _to_draft_4(value) for name, value in entry.items()} if key == "properties" else _to_draft_4(entry)
        for key, entry in schema.items()
        if key not in {"example", "description", "nullable", "default"} and not (key == "format" and entry != "uuid")
    }
    if schema.get("nullable"):
        translated["type"] = [schema["type"], "null"]
    if "required" in translated:
        # Clients may omit a required property that has a default.
        properties = schema.get("properties", {})
        required = [name for name in schema["required"] if "default" not in properties.get(name, {})]
        translated.pop("required")
        if required:
            translated["required"] = required
    return translated


def _create_normalizer(schema: Schema, components: Mapping[str, Schema]) -> Normalizer:
    schema = resolve_references(schema, components)
    if "anyOf" in schema:
        return _check_depth  # the only `anyOf` of requests is that of upload options, which are stored unchanged
    if "oneOf" in schema:
        return _create_one_of_normalizer(schema["oneOf"], components)
    if "properties" in schema:
        return _create_object_normalizer(schema["properties"], components)
    if "items" in schema:
        return _create_list_normalizer(_create_normalizer(schema["items"], components))
    return _unchanged


def _unchanged(value: Any) -> Any:
    return value


def _create_list_normalizer(entry: Normalizer) -> Normalizer:
    if entry is _unchanged:
        return _unchanged
    return lambda values: [entry(value) for value in values]


def _create_object_normalizer(properties: Mapping[str, Schema], components: Mapping[str, Schema]) -> Normalizer:
    known = {name: _create_normalizer(schema, components) for name, schema in properties.items()}
    defaults = dict(_defaults(properties, components))

    def normalize(document: Mapping[str, Any]) -> dict[str, Any]:
        kept = {name: known[name](value) for name, value in document.items() if name in known}
        for name, default in defaults.items():
            kept.setdefault(name, default)
        return kept

    return normalize


def _defaults(properties: Mapping[str, Schema], components: Mapping[str, Schema]) -> Iterator[tuple[str, Any]]:
    for name, schema in properties.items():
        resolved = resolve_references(schema, components)
        if "default" in resolved:
            yield name, resolved["default"]


def _create_one_of_normalizer(branches: list[Schema], components: Mapping[str, Schema]) -> Normalizer:
    options = [
        Checker(branch, components) for branch in branches if _create_normalizer(branch, components) is not _unchanged
    ]
    if not options:
        return _unchanged

    def normalize(value: Any) -> Any:
        for option in options:
            if option.is_valid(value):
                return option.normalize(value)
        return value

    return normalize


def refuse_nul(document: Any) -> None:
    """Raise InvalidRequestError if a text of the document holds a NUL, because no JSON column of PostgreSQL can."""
    if any("\0" in text for text in _texts(document)):
        raise InvalidRequestError("the body holds a NUL character")


def _texts(document: Any) -> Iterator[str]:
    for value, _ in _walk(document):
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from value.keys()


def _check_depth(value: Any) -> Any:
    """Return a value of any shape unchanged. Raises InvalidRequestError if it is nested too deeply."""
    if any(depth > _MAX_DEPTH for _, depth in _walk(value)):
        raise InvalidRequestError(f"the body is nested more than {_MAX_DEPTH} levels deep")
    return value


def _walk(document: Any) -> Iterator[tuple[Any, int]]:
    """Yield every value of a document, with its number of levels below the top."""
    waiting: list[tuple[Any, int]] = [(document, 0)]
    while waiting:
        value, depth = waiting.pop()
        yield value, depth
        if isinstance(value, dict):
            waiting.extend((entry, depth + 1) for entry in value.values())
        elif isinstance(value, list):
            waiting.extend((entry, depth + 1) for entry in value)
