"""Links to the first and the last page of a list."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.paging import Page
from image_builder.http.pages import page_links

PATH = "/api/image-builder/v1.0/composes"
often = settings(deadline=None, max_examples=100)
texts = st.text('az &=?/#%+é"\\', max_size=6)
names = st.text("abXYZ_-", min_size=1, max_size=6)


def offset_of(link):
    return int(parse_qs(urlsplit(link).query)["offset"][0])


@pytest.mark.parametrize(
    ("count", "limit", "offset"),
    [
        (0, 100, 0),
        (1, 100, 0),
        (100, 100, 0),
        (101, 100, 100),
        (200, 100, 100),
        (201, 100, 200),
        (0, 1, 0),
        (1, 1, 0),
        (2, 1, 1),
        (10, 3, 9),
        (9, 3, 6),
        (7, 10, 0),
    ],
)
def test_the_last_page_begins_at_the_last_multiple_of_the_limit(count, limit, offset):
    assert offset_of(page_links(PATH, Page(limit, 0), count, {})[1]) == offset


def test_links_consist_of_path_and_query():
    first, last = page_links(PATH, Page(10, 30), 42, {})
    assert first == f"{PATH}?limit=10&offset=0"
    assert last == f"{PATH}?limit=10&offset=40"


def test_the_order_of_keys_in_links_can_be_set():
    _, last = page_links(PATH, Page(10, 30), 42, {"b": "x y", "a": "&"}, ("b", "offset", "a", "limit"))
    assert last == f"{PATH}?b=x+y&offset=40&a=%26&limit=10"


@pytest.mark.parametrize(
    ("filters", "query"),
    [
        ({"ignoreImageTypes": ["a"]}, "ignoreImageTypes=a&limit=10&offset=0"),
        ({"ignoreImageTypes": ["b", "a"]}, "ignoreImageTypes=b&ignoreImageTypes=a&limit=10&offset=0"),
        ({"search": "x", "name": "y"}, "limit=10&name=y&offset=0&search=x"),
        ({"name": "a b&c=d"}, "limit=10&name=a+b%26c%3Dd&offset=0"),
        ({"blueprint_version": "-1"}, "blueprint_version=-1&limit=10&offset=0"),
    ],
)
def test_links_repeat_the_filters_in_alphabetical_order(filters, query):
    assert page_links(PATH, Page(10, 0), 0, filters)[0] == f"{PATH}?{query}"


@often
@given(
    limit=st.integers(1, 100),
    offset=st.integers(0, 10**6),
    count=st.integers(0, 10**6),
    filters=st.dictionaries(names, texts | st.lists(texts, min_size=1, max_size=3), max_size=4),
)
def test_links_are_valid_for_any_list(limit, offset, count, filters):
    first, last = page_links(PATH, Page(limit, offset), count, filters)
    assert offset_of(first) == 0
    assert offset_of(last) % limit == 0
    assert offset_of(last) < max(count, 1)
    assert count <= offset_of(last) + limit
    for link in (first, last):
        parts = urlsplit(link)
        assert parts.path == PATH
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=True)
        assert list(query) == sorted(query)
        assert query.pop("limit") == [str(limit)]
        query.pop("offset")
        assert query == {name: value if isinstance(value, list) else [value] for name, value in filters.items()}
