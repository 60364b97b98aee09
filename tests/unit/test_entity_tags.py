"""Versions as entity tags (RFC 9110, sections 8.8.3 and 13.1.1)."""

import pytest

from domain.errors import InvalidRequestError
from image_builder.http.entity_tags import format_etag, parse_if_match


@pytest.mark.parametrize("version", [1, 7, 10, 2**31 - 1])
def test_the_tag_of_a_version_is_strong_and_matches_that_version(version):
    assert format_etag(version) == f'"{version}"'
    assert parse_if_match(format_etag(version)) == {version}


@pytest.mark.parametrize("if_match", [None, "*", " * ", "\t*"])
def test_a_missing_header_or_a_star_matches_any_version(if_match):
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
def test_each_strong_tag_of_a_list_matches_its_version(if_match, versions):
    assert parse_if_match(if_match) == versions


@pytest.mark.parametrize(
    "if_match",
    [
        *['W/"3"', 'W/"3", W/"4"', 'W/"x"'],
        *['""', '"x"', '"3x"', '"x3"', '"3,4"', '"+3"', '"3.0"', '"03"', '"*"', '"W/3"', '"\xe9"', '"a,"'],
        *['"0"', '"-1"', '"99999999999999999999"'],
    ],
)
def test_weak_tags_and_tags_of_other_forms_match_no_version(if_match):
    assert parse_if_match(if_match) == frozenset()


@pytest.mark.parametrize(
    "if_match",
    [
        *["3", "'3'", '"3', '3"', '"', '"""', "W/3", 'w/"3"', 'W /"3"', 'W/ "3"', "x"],
        *['"3" "4"', '"3"; "4"', '"3"4', '"3", 4', '*, "3"', '"3", *', "**", '"a b"', '"\x7f"', '"3"\n'],
    ],
)
def test_a_header_that_is_no_list_of_tags_is_refused(if_match):
    with pytest.raises(InvalidRequestError, match="If-Match"):
        parse_if_match(if_match)
