"""Cursors of lists."""

from __future__ import annotations

import json
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidRequestError
from domain.paging import Cursor, Page
from image_builder.http.pages import Neighbours, page_answer

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=120)
cursors = st.builds(Cursor, st.sampled_from(["created_at", "-image_name"]), texts, st.uuids(), st.booleans())
CURSOR = Cursor("created_at", "2026-01-31 12:00:00", UUID(int=7))


@given(cursor=cursors, tenant=texts)
def test_a_cursor_is_read_as_it_was_written(cursor: Cursor, tenant: str) -> None:
    assert Cursor.parse(cursor.encode(tenant), tenant, cursor.sort) == cursor


@given(cursor=cursors, number=st.integers(0, 10_000), character=st.sampled_from("Ab0_-=+/ é"))
def test_a_cursor_with_another_character_is_refused(cursor: Cursor, number: int, character: str) -> None:
    text = cursor.encode("tenant")
    place = number % len(text)
    changed = text[:place] + character + text[place + 1 :]
    if changed != text:
        with pytest.raises(InvalidRequestError, match="cursor"):
            Cursor.parse(changed, "tenant", cursor.sort)


@given(text=st.text(max_size=200))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="cursor"):
        Cursor.parse(text, "tenant", "created_at")


def test_a_cursor_of_another_organization_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="cursor"):
        Cursor.parse(CURSOR.encode("one"), "another", "created_at")


def test_a_cursor_of_another_order_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="another sort"):
        Cursor.parse(CURSOR.encode("one"), "one", "-created_at")


def links(neighbours: Neighbours, data: list[str], count: int) -> dict[str, str]:
    answer = page_answer("/composes", Page(2, 0), count, {"search": "a"}, data, neighbours=neighbours)
    found: dict[str, str] = json.loads(answer.body)["links"]
    return found


def test_links_lead_to_the_neighbours_by_cursor() -> None:
    found = links(Neighbours("P", "N"), ["a", "b"], 9)
    assert found["prev"] == "/composes?cursor=P&limit=2&search=a"
    assert found["next"] == "/composes?cursor=N&limit=2&search=a"


def test_a_page_without_neighbours_has_no_links_to_them() -> None:
    assert links(Neighbours(), ["a"], 1).keys() == {"first", "last"}


@pytest.mark.parametrize(("backward", "name", "same_as"), [(False, "prev", "last"), (True, "next", "first")])
def test_an_empty_page_leads_back_into_the_list(backward: bool, name: str, same_as: str) -> None:
    found = links(Neighbours(backward=backward), [], 5)
    assert found[name] == found[same_as]


def test_a_cursor_holds_no_more_than_its_place() -> None:
    cursor = Cursor("created_at", "2026-01-31 12:00:00", uuid4())
    assert "secret-tenant" not in cursor.encode("secret-tenant")
