"""What the document gives as examples: every body is taken, every parameter answered, every refusal true."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tests.support.blueprints import kept
from tests.support.builders import compose_request
from tests.support.service import Service

pytestmark = pytest.mark.usefixtures("composer")


def example_bodies(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Media type and value of every example of an operation's body, that of its schema included."""
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        schema = document["components"]["schemas"][name] if name else content["schema"]
        yield from ((media_type, each["value"]) for each in content.get("examples", {}).values())
        yield from ((media_type, each["example"]) for each in (content, schema) if "example" in each)


def test_every_example_of_a_body_is_taken(service: Service, document: Mapping[str, Any]) -> None:
    """Each by an organization of its own, and where a blueprint is asked for, for one that was just made."""
    taken = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            for media_type, value in example_bodies(document, operation):
                client = service.client(uuid4().hex)
                place = path.replace("{id}", kept(client)) if "{id}" in path else path
                if "{composeId}" in place:
                    place = place.replace("{composeId}", client.compose(compose_request()))
                body = value.encode() if isinstance(value, str) else orjson.dumps(value)
                answer = client.request(method.upper(), place, data=body, headers={"Content-Type": media_type})
                assert answer.ok, f"{method} {path}: {value}\n{answer.text}"
                taken += 1
    assert taken >= 15


def test_every_reading_operation_answers_with_the_examples_of_its_parameters(
    service: Service, document: Mapping[str, Any]
) -> None:
    """What the interactive page fills in; ids apart, which are nobody's."""
    client = service.client("examples of parameters")
    for path, item in document["paths"].items():
        if "get" not in item or re.search(r"\{(\w*[Ii]d|policy)\}", path):
            continue
        place, query = path, {}
        for given in (*item.get("parameters", []), *item["get"].get("parameters", [])):
            named = given.get("$ref", "").rpartition("/")[2]
            parameter = document["components"]["parameters"][named] if named else given
            if parameter.get("in") == "path":
                place = place.replace(f"{{{parameter['name']}}}", parameter["example"])
            elif parameter.get("in") == "query" and "example" in parameter:
                query[parameter["name"]] = parameter["example"]
        answer = client.get(place, params=query)
        assert answer.ok, f"{path} {query}: {answer.text}"


def test_every_example_of_a_refusal_has_its_status_for_a_title(document: Mapping[str, Any]) -> None:
    wrong = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            for status, response in operation["responses"].items():
                for detail, title in _refusals(document, response):
                    # A rule has a title of its own.
                    if status not in {title, "422"}:
                        wrong.append(f"{method} {path} {status}: {title!r} ({detail})")
    assert not wrong, "\n".join(wrong)


def _refusals(document: Mapping[str, Any], response: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    media = response.get("content", {}).get("application/json", {})
    values = [media["example"]] if "example" in media else []
    values += [example["value"] for example in media.get("examples", {}).values()]
    for value in values:
        if isinstance(value, dict):
            yield from ((error["detail"], error["title"]) for error in value.get("errors", ()))
