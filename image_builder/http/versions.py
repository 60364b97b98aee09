"""Versions of a resource as entity tags (RFC 9110, sections 8.8.3 and 13.1.1)."""

from __future__ import annotations

import re
from typing import Final

from domain.errors import InvalidRequestError

_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
# Recipients ignore empty list elements (section 5.6.1.2).
_TAGS: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_EACH_TAG: Final = re.compile(_TAG)
_VERSION_TAG: Final = re.compile(r'(?<!W/)"([1-9][0-9]{0,18})"')


def parse_if_none_match(if_none_match: str | None) -> frozenset[str] | None:
    """The entity tags of an If-None-Match header, "*" for any; None without the header.

    Raises InvalidRequestError if the header is no list of entity tags.
    """
    if if_none_match is None:
        return None
    if if_none_match.strip(" \t") == "*":
        return frozenset("*")
    if not _TAGS.fullmatch(if_none_match):
        raise InvalidRequestError('If-None-Match: expected entity tags, such as W/"building" with its quotation marks')
    return frozenset(_EACH_TAG.findall(if_none_match))


def etag(version: int) -> str:
    """The strong entity tag of a version."""
    return f'"{version}"'


def parse_if_match(if_match: str | None) -> frozenset[int] | None:
    """The versions that an If-Match header allows; None for any. Tags of other forms match no version.

    Raises InvalidRequestError if the header is no list of entity tags.
    """
    if if_match is None or if_match.strip(" \t") == "*":
        return None
    if not _TAGS.fullmatch(if_match):
        raise InvalidRequestError('If-Match: expected entity tags, such as "3" with its quotation marks')
    return frozenset(int(number) for number in _VERSION_TAG.findall(if_match))
