"""What is wrong with a document that does not fit its schema: a few errors, found without building all of them.

jsonschema-rs builds every error, with a copy of the value, before it returns the first: a body of 28 kB could cost
hundreds of megabytes. Here the document is walked along its schema, parts that fit are skipped, and the walk ends after
a number of errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any, Final

import jsonschema_rs

Schema = Mapping[str, Any]
Path = tuple[str | int, ...]

MASK: Final = "the value"
# After so many errors the walk ends.
MOST_ERRORS: Final = 20
# Entries of a list that is not copied into an error.
_LONG: Final = 1000
_FORMS: Final = ("oneOf", "anyOf")


def _shell(value: Any) -> Any:
    """The value without its parts, as far as what a schema says of the value itself is concerned.

    Each error holds a copy of the value. The entries of a list stay different from each other.
    """
    if isinstance(value, list):
        return list(range(len(value))) if len(value) > _LONG else value
    if isinstance(value, dict):
        return dict.fromkeys(value)
    return value


class SchemaErrors:
    """The errors of documents of one schema.

    `resolve` follows the references of a schema; `validator_of` compiles one. Both are called when a document has
    errors, once for each part of the schema that has some.
    """

    def __init__(
        self,
        schema: Schema,
        resolve: Callable[[Schema], Schema],
        validator_of: Callable[[Schema], jsonschema_rs.Draft4Validator],
    ) -> None:
        self._schema = resolve(schema)
        self._resolve = resolve
        self._validator_of = validator_of
        self._below: dict[str, SchemaErrors] = {}

    def first(self, document: Any) -> list[tuple[Path, str]]:
        """At most MOST_ERRORS of them: where, and what was expected. Raises ValueError for endless nesting."""
        return list(islice(self._walk(document, ()), MOST_ERRORS))

    def _walk(self, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
        if self._whole.is_valid(value):
            return
        if self._forms:
            yield from self._of_forms(value, path)
        yield from ((path, error.message) for error in self._itself.iter_errors(_shell(value)))
        if isinstance(value, dict):
            for name, schema in self._schema.get("properties", {}).items():
                if name in value:
                    yield from self._part(f".{name}", schema)._walk(value[name], (*path, name))  # noqa: SLF001
        elif isinstance(value, list) and "items" in self._schema:
            items = self._part("[]", self._schema["items"])
            for index, entry in enumerate(value):
                yield from items._walk(entry, (*path, index))  # noqa: SLF001

    def _of_forms(self, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
        """Of several forms of which none fits, the error of the one that was meant: the fewest and deepest errors.

        Where all complain of the value itself, all are told.
        """
        of_forms = [list(islice(form._walk(value, path), MOST_ERRORS)) for form in self._forms]  # noqa: SLF001
        fitting = sum(not errors for errors in of_forms)
        if fitting:
            if fitting > 1 and "oneOf" in self._schema:
                yield path, f"{MASK} fits more than one form"
        elif all(len(errors) == 1 and errors[0][0] == path for errors in of_forms):
            messages = [errors[0][1].removeprefix(MASK).strip() for errors in of_forms]
            yield path, f"{MASK} {' and '.join(messages)}"
        else:
            yield min(of_forms, key=lambda errors: (len(errors), -max(len(each) for each, _ in errors)))[0]

    @cached_property
    def _whole(self) -> jsonschema_rs.Draft4Validator:
        return self._validator_of(self._schema)

    @cached_property
    def _itself(self) -> jsonschema_rs.Draft4Validator:
        """What the schema says of the value itself, and not of its parts."""
        said = {key: entry for key, entry in self._schema.items() if key not in {"items", "properties", *_FORMS}}
        if "properties" in self._schema:
            said["properties"] = {
                name: {key: entry for key, entry in self._resolve(schema).items() if key == "default"}
                for name, schema in self._schema["properties"].items()
            }
        return self._validator_of(said)

    @cached_property
    def _forms(self) -> tuple[SchemaErrors, ...]:
        forms = next((self._schema[key] for key in _FORMS if key in self._schema), ())
        return tuple(SchemaErrors(form, self._resolve, self._validator_of) for form in forms)

    def _part(self, name: str, schema: Schema) -> SchemaErrors:
        part = self._below.get(name)
        if part is None:
            part = self._below[name] = SchemaErrors(schema, self._resolve, self._validator_of)
        return part
