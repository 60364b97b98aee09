"""GET /blueprints, as the console and assistants use it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID

import pytest

from domain.paging import Cursor
from tests.support.blueprints import blueprint, changed, kept, listed, names
from tests.support.refusals import refusal
from tests.support.service import Client, Service

LINKS = "/api/image-builder/v1.0/blueprints"


def test_without_blueprints_the_list_is_empty(client: Client) -> None:
    assert listed(client) == {
        "meta": {"count": 0},
        "links": {"first": f"{LINKS}?limit=100&offset=0", "last": f"{LINKS}?limit=100&offset=0"},
        "data": [],
    }


def test_an_item_describes_the_latest_version(client: Client) -> None:
    blueprint_id = kept(client, description="before")
    changed(client, blueprint_id, blueprint("new", description="after"))
    (item,) = listed(client)["data"]
    modified = item.pop("last_modified_at")
    assert item == {"id": blueprint_id, "version": 2, "name": "new", "description": "after", "created_by": "u"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", modified)
    assert abs(datetime.fromisoformat(modified) - datetime.now(UTC)) < timedelta(seconds=30)


def test_the_latest_changed_blueprint_comes_first(client: Client) -> None:
    first, *_ = [kept(client, name=name) for name in "abc"]
    assert names(listed(client)) == ["c", "b", "a"]
    changed(client, first, blueprint("a"))
    assert names(listed(client)) == ["a", "c", "b"]


@pytest.mark.parametrize(("count", "limit", "last"), [(5, 2, 4), (4, 2, 2), (2, 2, 0), (5, 100, 0)])
def test_links_lead_to_the_first_and_the_last_page_below_every_base(
    client: Client, count: int, limit: int, last: int
) -> None:
    for number in range(count):
        kept(client, name=str(number))
    for base in ("/api/image-builder/v1", "/api/v1/image-builder"):
        page = client.get(f"/blueprints?limit={limit}&offset=1", base=base).json()
        assert page["links"]["first"] == f"{LINKS}?limit={limit}&offset=0"
        assert page["links"]["last"] == f"{LINKS}?limit={limit}&offset={last}"
        assert page["meta"]["count"] == count
    assert len(client.get(page["links"]["last"], base="").json()["data"]) == count - last


def test_links_repeat_the_encoded_filters_in_alphabetical_order(client: Client) -> None:
    page = listed(client, "?search=a%26b%20%25&offset=0&limit=7")
    for link in page["links"].values():
        query = urlsplit(link).query
        assert [part.split("=")[0] for part in query.split("&")] == ["limit", "offset", "search"]
        assert parse_qs(query)["search"] == ["a&b %"]


def test_following_the_pages_shows_each_blueprint_once(client: Client) -> None:
    for number in range(5):
        kept(client, name=str(number))
    assert [name for offset in (0, 2, 4, 6) for name in names(listed(client, f"?limit=2&offset={offset}"))] == [
        *("4", "3", "2", "1", "0")
    ]


def test_a_page_past_the_end_is_empty_and_has_the_count(client: Client) -> None:
    kept(client)
    page = listed(client, "?offset=50")
    assert (page["meta"]["count"], page["data"]) == (1, [])


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "offset=-1", "offset=x"])
def test_invalid_page_parameters_are_refused(client: Client, query: str) -> None:
    refusal(client.get(f"/blueprints?{query}"), 400)


@pytest.mark.parametrize(
    ("search", "found"),
    [("WEB", ["web", "db"]), ("%", ["100%"]), ("_", ["a_b"]), ("\\", ["c\\d"]), ("nowhere", []), ("", None)],
)
def test_a_search_finds_parts_of_name_or_description_in_any_case(
    client: Client, search: str, found: list[str] | None
) -> None:
    every = ["c\\d", "a_b", "100%", "db", "web"]
    for name in reversed(every):
        kept(client, name=name, description="behind the web" if name == "db" else "")
    page = listed(client, f"?search={quote(search)}")
    expected = every if found is None else found
    assert sorted(names(page)) == sorted(expected)
    assert page["meta"]["count"] == len(expected)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=web", ["web"]),
        ("name=Web", []),
        ("name=we", []),
        ("name=", ["web 2", "web"]),
        ("name=&search=2", ["web 2"]),
        ("name=web&search=nowhere", ["web"]),
        ("name=web&limit=1&offset=20", ["web"]),
        ("unknown=1", ["web 2", "web"]),
    ],
)
def test_a_name_filter_matches_exactly_and_takes_precedence_over_a_search(
    client: Client, query: str, found: list[str]
) -> None:
    for name in ("web", "web 2"):
        kept(client, name=name)
    page = listed(client, f"?{query}")
    assert (names(page), page["meta"]["count"]) == (found, len(found))


def test_an_organization_sees_only_its_own_blueprints(client: Client, service: Service) -> None:
    kept(client)
    for query in ("", "?name=web", "?search=web"):
        assert listed(service.client("nobody's"), query)["meta"]["count"] == 0


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["delta", "Beta", "alpha", "Gamma"]),
        ("sort=-last_modified_at", ["delta", "Beta", "alpha", "Gamma"]),
        ("sort=last_modified_at", ["Gamma", "alpha", "Beta", "delta"]),
        ("sort=name", ["alpha", "Beta", "delta", "Gamma"]),
        ("sort=-name", ["Gamma", "delta", "Beta", "alpha"]),
        ("sort=name&search=ta", ["Beta", "delta"]),
    ],
)
def test_the_list_has_the_order_that_sort_says_by_offset_and_by_cursor(
    client: Client, query: str, expected: list[str]
) -> None:
    for name in ("Gamma", "alpha", "Beta", "delta"):
        kept(client, name=name)
    assert names(client.get(f"/blueprints?{query}").json()) == expected
    page = client.get(f"/blueprints?limit=1&{query}").json()
    found = names(page)
    while "next" in page["links"]:
        page = client.get(page["links"]["next"], base="").json()
        assert page["meta"]["count"] == len(expected)
        found += names(page)
    assert found == expected
    backwards = names(page)
    while "prev" in page["links"]:
        page = client.get(page["links"]["prev"], base="").json()
        backwards += names(page)
    assert backwards == expected[::-1]


@pytest.mark.parametrize("query", ["sort=created_at", "sort=", "cursor=x", "cursor="])
def test_an_unknown_order_or_cursor_is_refused(client: Client, query: str) -> None:
    refusal(client.get(f"/blueprints?{query}"), 400)


def test_a_cursor_of_a_list_of_builds_is_no_cursor_of_a_list_of_blueprints(client: Client, tenant: str) -> None:
    text = Cursor("-created_at", "2026-01-31 12:00:00", UUID(int=1)).encode(tenant)
    refusal(client.get(f"/blueprints?cursor={text}"), 400)
