"""Errors of documents that do not fit their schema, and the memory that it takes to find them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import pytest

from domain.errors import InvalidRequestError
from image_builder.http.contract import load_checker
from image_builder.http.schema_errors import MAX_ERRORS, SchemaErrors
from image_builder.http.schemas import resolve_references
from tests.support.cgroups import resident_of
from tests.support.openapi import openapi_document

MIB = 1024 * 1024
SCHEMAS = openapi_document()["components"]["schemas"]


def wrong_documents(schema: Any, wrap: Callable[[Any], Any], depth: int = 0) -> Iterator[Any]:
    """Yield a document for each place of the schema, with a null at that place."""
    schema = resolve_references(schema, SCHEMAS)
    yield wrap(None)
    if depth < 6:
        for name, below in schema.get("properties", {}).items():
            yield from wrong_documents(below, lambda value, name=name: wrap({name: value}), depth + 1)
        if "items" in schema:
            yield from wrong_documents(schema["items"], lambda value: wrap([value]), depth + 1)


def test_an_error_at_each_place_of_openapi_yaml_takes_little_memory() -> None:
    checker = load_checker("Customizations")
    before = resident_of(os.getpid())
    places = 0
    for document in wrong_documents(SCHEMAS["Customizations"], lambda value: value):
        with pytest.raises(InvalidRequestError):
            checker.accept(document)
        places += 1
    assert places > 100
    assert resident_of(os.getpid()) - before < 40 * MIB


def test_no_more_errors_are_found_than_the_maximum() -> None:
    found = errors_of({"type": "array", "items": {"type": "string"}}, [1] * 100_000)
    assert len(found) == MAX_ERRORS
    assert found[0][0] == (0,)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object"}, [[]] * 100_000),
        ({"type": "array", "maxItems": 10}, [{}] * 100_000),
        ({"type": "string"}, {str(number): [] for number in range(100_000)}),
    ],
    ids=["a list that should be an object", "a list that is too long", "an object that should be a text"],
)
def test_an_error_about_a_large_value_does_not_contain_it(schema: Any, value: Any) -> None:
    before = resident_of(os.getpid())
    ((path, _),) = errors_of(schema, value)
    assert path == ()
    assert resident_of(os.getpid()) - before < 40 * MIB


def test_a_document_that_fits_one_alternative_has_no_errors_of_the_others() -> None:
    schema = {"anyOf": [{"type": "object"}, {"type": "object"}], "maxProperties": 1}
    ((path, _),) = errors_of(schema, {"a": 1, "b": 2})
    assert path == ()


def errors_of(schema: Any, value: Any) -> list[tuple[tuple[str | int, ...], str]]:
    return SchemaErrors(schema, lambda part: part, jsonschema_rs.Draft4Validator).find_first(value)


def test_errors_below_keys_of_the_clients_choice_name_the_key_and_what_is_wrong() -> None:
    schema = {"type": "object", "maxProperties": 2, "additionalProperties": {"type": "string", "maxLength": 3}}
    assert errors_of(schema, {"fine": "abc", "a.b": "abcd"})[0][0] == ("a.b",)
    assert "longer than 3 characters" in errors_of(schema, {"fine": "abc", "long": "abcd"})[0][1]
    assert errors_of(schema, {"fine": "abc", "number": 1}) == [(("number",), '1 is not of type "string"')]
    assert [path for path, _ in errors_of(schema, dict.fromkeys("abc", "x"))] == [()]
    named = {**schema, "properties": {"count": {"type": "integer"}}}
    assert [path for path, _ in errors_of(named, {"count": 1, "text": 2})] == [("text",)]
