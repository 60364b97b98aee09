"""Answers of handlers, and bodies that are encoded once."""

from __future__ import annotations

import pytest

from domain.errors import NotFoundError
from image_builder.http.answers import Answer, EncodedBodies, empty_answer, json_answer, not_modified


def test_an_answer_states_its_length_in_bytes() -> None:
    answer = json_answer({"name": "é"})
    assert dict(answer.encode_headers()) == {
        b"content-type": b"application/json",
        b"content-length": str(len(answer.body)).encode(),
    }


@pytest.mark.parametrize("answer", [empty_answer(204), not_modified('"1"')])
def test_an_answer_that_may_have_no_body_has_no_length(answer: Answer) -> None:
    assert b"content-length" not in dict(answer.encode_headers())


def test_a_body_is_encoded_once() -> None:
    bodies = EncodedBodies()
    documents = iter([{"first": True}, {"second": True}])
    assert bodies.get("a", lambda: next(documents)) == bodies.get("a", lambda: next(documents)) == b'{"first":true}\n'
    assert bodies.get("b", lambda: next(documents)) == b'{"second":true}\n'


def test_a_document_that_does_not_exist_is_not_remembered() -> None:
    bodies = EncodedBodies()

    def fail() -> None:
        raise NotFoundError("none")

    with pytest.raises(NotFoundError):
        bodies.get("a", fail)
    assert bodies.get("a", dict) == b"{}\n"


def test_the_number_of_bodies_is_bounded() -> None:
    bodies = EncodedBodies()
    calls: list[int] = []
    for _ in range(2):
        for number in range(300):
            bodies.get(number, lambda number=number: calls.append(number))  # type: ignore[misc]
    assert len(calls) > 300
