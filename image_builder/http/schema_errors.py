"""Finds the errors of a document by its JSON schema, in bounded memory.

jsonschema-rs creates every error, with a copy of the value, before it returns the first: a body of 28 kB could take
hundreds of megabytes. This module walks through the document along its schema. It skips valid parts, and stops after
MAX_ERRORS errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from domain.similar_names import describe_choices

Schema = Mapping[str, Any]
Path = tuple[str | int, ...]

# The text in error messages in place of values, which may be secrets.
VALUE_PLACEHOLDER: Final = "the value"
# Errors of one document after which the walk stops.
MAX_ERRORS: Final = 20
# Entries of a list: longer lists are not copied into errors.
_MAX_COPIED_ENTRIES: Final = 1000
# The keywords that list alternative schemas of a value.
_ALTERNATIVES: Final = ("oneOf", "anyOf")


def _without_parts(value: Any) -> Any:
    """Return a value without the contents of its parts, because each error has a copy of the value.

    Keywords about the value itself, such as `maxItems`, `uniqueItems` and `required`, give the same result for both,
    because the placeholders in a list differ from each other.
    """
    if isinstance(value, list):
        return list(range(len(value))) if len(value) > _MAX_COPIED_ENTRIES else value
    if isinstance(value, dict):
        return dict.fromkeys(value)
    return value


class SchemaErrors:
    """Finds the errors in documents of one schema.

    `resolve` follows the references of a schema; `create_validator` compiles a schema. Both are called when a document
    has errors, once for each part of the schema where errors occur.
    """

    def __init__(
        self,
        schema: Schema,
        resolve: Callable[[Schema], Schema],
        create_validator: Callable[[Schema], jsonschema_rs.Draft4Validator],
    ) -> None:
        self._schema = resolve(schema)
        self._resolve = resolve
        self._create_validator = create_validator
        self._parts: dict[str, SchemaErrors] = {}

    def find_first(self, document: Any) -> list[tuple[Path, str]]:
        """Return the first MAX_ERRORS errors, each with its path and message.

        Raises ValueError if the document is nested too deeply.
        """
        return list(islice(self.walk(document, ()), MAX_ERRORS))

    def walk(self, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
        """Yield the errors of a value, each with its path and message; `path` is that of the value."""
        if self._validator.is_valid(value):
            return
        if self._alternatives:
            yield from self._walk_alternatives(value, path)
        allowed = self._schema.get("enum")
        if allowed and isinstance(value, str) and all(isinstance(each, str) for each in allowed):
            # One of a few names is no secret, so the message may hold the value.
            yield path, f"expected {describe_choices(value, allowed)}"
            return
        yield from ((path, error.message) for error in self._shallow_validator.iter_errors(_without_parts(value)))
        if isinstance(value, dict):
            for name, schema in self._schema.get("properties", {}).items():
                if name in value:
                    yield from self._get_part(f".{name}", schema).walk(value[name], (*path, name))
            yield from self._walk_other_properties(value, path)
        elif isinstance(value, list) and "items" in self._schema:
            items = self._get_part("[]", self._schema["items"])
            for index, entry in enumerate(value):
                yield from items.walk(entry, (*path, index))

    def _walk_other_properties(self, value: dict[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
        """Yield the errors of properties whose names the schema leaves to the client."""
        schema = self._schema.get("additionalProperties")
        if isinstance(schema, dict):
            part, named = self._get_part("*", schema), self._schema.get("properties", {})
            for name, each in value.items():
                if name not in named:
                    yield from part.walk(each, (*path, name))

    def _walk_alternatives(self, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
        """Yield an error of the alternative that the client most likely meant, if the value fits none.

        That is the alternative with the fewest and deepest errors. If each alternative has one error, at the value
        itself, their messages are joined.
        """
        by_alternative = [list(islice(each.walk(value, path), MAX_ERRORS)) for each in self._alternatives]
        valid = sum(not errors for errors in by_alternative)
        if valid:
            if valid > 1 and "oneOf" in self._schema:
                yield path, f"{VALUE_PLACEHOLDER} fits more than one form"
        elif all(len(errors) == 1 and errors[0][0] == path for errors in by_alternative):
            messages = [errors[0][1].removeprefix(VALUE_PLACEHOLDER).strip() for errors in by_alternative]
            yield path, f"{VALUE_PLACEHOLDER} {' and '.join(messages)}"
        else:
            yield min(by_alternative, key=lambda errors: (len(errors), -max(len(each) for each, _ in errors)))[0]

    @cached_property
    def _validator(self) -> jsonschema_rs.Draft4Validator:
        return self._create_validator(self._schema)

    @cached_property
    def _shallow_validator(self) -> jsonschema_rs.Draft4Validator:
        """The validator for keywords about the value itself, such as `type`, without those about its parts."""
        about_parts = {"items", "properties", *_ALTERNATIVES}
        if isinstance(self._schema.get("additionalProperties"), dict):
            about_parts.add("additionalProperties")
        keywords = {key: entry for key, entry in self._schema.items() if key not in about_parts}
        if "properties" in self._schema:
            # Only the defaults: they make properties optional.
            keywords["properties"] = {
                name: {key: entry for key, entry in self._resolve(schema).items() if key == "default"}
                for name, schema in self._schema["properties"].items()
            }
        return self._create_validator(keywords)

    @cached_property
    def _alternatives(self) -> tuple[SchemaErrors, ...]:
        schemas = next((self._schema[key] for key in _ALTERNATIVES if key in self._schema), ())
        return tuple(SchemaErrors(schema, self._resolve, self._create_validator) for schema in schemas)

    def _get_part(self, name: str, schema: Schema) -> SchemaErrors:
        part = self._parts.get(name)
        if part is None:
            part = self._parts[name] = SchemaErrors(schema, self._resolve, self._create_validator)
        return part
