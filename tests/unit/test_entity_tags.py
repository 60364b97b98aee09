"""Versions as entity tags (RFC 9110: 8.8.3, the tag; 13.1.1, If-Match; issue 5: strong ones)."""

import pytest

from domain.errors import InvalidRequestError
from image_builder.http.entity_tags import format_etag, parse_if_match


@pytest.mark.parametrize("version", [1, 7, 10, 2**31 - 1])
def test_a_version_s_tag_is_strong_and_means_that_version(version):
    assert format_etag(version) == f'"{version}"'
    assert parse_if_match(format_etag(version)) == {version}


@pytest.mark.parametrize("if_match", [None, "*", " * ", "\t*"])
def test_without_the_header_or_with_a_star_any_version_is_meant(if_match):
    assert parse_if_match(if_match) is None


@pytest.mark.parametrize(
    ("if_match", "versions"),
    [
        ('"3"', {3}),
        (' "3"\t', {3}),
        ('"3", "4"', {3, 4}),
        ('"3","4"', {3, 4}),
        ('"3" ,\t"4" , "3"', {3, 4}),
        ('"x", "3"', {3}),
        ('"3", W/"4"', {3}),
        ('W/"4" , "3"', {3}),
        ('"W/", "3"', {3}),
        ('"3",', {3}),
        (',"3"', {3}),
        (' , "3" , ', {3}),
        ('"3",,"4"', {3, 4}),
    ],
)
def test_each_strong_tag_of_a_list_means_a_version(if_match, versions):
    assert parse_if_match(if_match) == versions


@pytest.mark.parametrize(
    "if_match",
    [
        *['W/"3"', 'W/"3", W/"4"', 'W/"x"'],
        *['""', '"x"', '"3x"', '"x3"', '"3,4"', '"+3"', '"3.0"', '"03"', '"*"', '"W/3"', '"\xe9"', '"a,"'],
        *['"0"', '"-1"', '"99999999999999999999"'],
    ],
)
def test_weak_tags_and_those_of_no_version_match_nothing(if_match):
    assert parse_if_match(if_match) == frozenset()


@pytest.mark.parametrize(
    "if_match",
    [
        *["3", "'3'", '"3', '3"', '"', '"""', "W/3", 'w/"3"', 'W /"3"', 'W/ "3"', "x"],
        *['"3" "4"', '"3"; "4"', '"3"4', '"3", 4', '*, "3"', '"3", *', "**", '"a b"', '"\x7f"', '"3"\n'],
    ],
)
def test_what_is_no_list_of_tags_is_refused(if_match):
    with pytest.raises(InvalidRequestError, match="If-Match"):
        parse_if_match(if_match)
