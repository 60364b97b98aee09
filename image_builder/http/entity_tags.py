"""Formats and parses versions of a resource as entity tags (RFC 9110, sections 8.8.3 and 13.1.1)."""

from __future__ import annotations

import re
from typing import Final

from domain.errors import InvalidRequestError

_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
# Empty elements of a list are ignored (RFC 9110, section 5.6.1.2).
_TAGS: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_EACH_TAG: Final = re.compile(_TAG)
_VERSION_TAG: Final = re.compile(r'(?<!W/)"([1-9][0-9]{0,18})"')


def parse_if_none_match(if_none_match: str | None) -> frozenset[str] | None:
    """Return the entity tags of an If-None-Match header, "*" for any; None without the header.

    Raises InvalidRequestError if the header is not a list of entity tags.
    """
    if if_none_match is None:
        return None
    if if_none_match.strip(" \t") == "*":
        return frozenset("*")
    if not _TAGS.fullmatch(if_none_match):
        raise InvalidRequestError('If-None-Match: expected entity tags, such as W/"building" with its quotation marks')
    return frozenset(_EACH_TAG.findall(if_none_match))


def is_known_tag(etag: str, known: frozenset[str] | None) -> bool:
    """Return whether `known`, the tags of an If-None-Match header, contain this entity tag, which may be empty.

    Tags are compared weakly (RFC 9110, section 8.8.3.2).
    """
    if not etag or known is None:
        return False
    return "*" in known or etag.removeprefix("W/") in {each.removeprefix("W/") for each in known}


def format_etag(version: int) -> str:
    """Return the strong entity tag of a version."""
    return f'"{version}"'


def parse_if_match(if_match: str | None) -> frozenset[int] | None:
    """Return the versions that an If-Match header allows, None if it allows any. Weak tags allow no version.

    Raises InvalidRequestError if the header is no list of entity tags.
    """
    if if_match is None or if_match.strip(" \t") == "*":
        return None
    if not _TAGS.fullmatch(if_match):
        raise InvalidRequestError('If-Match: expected entity tags, such as "3" with its quotation marks')
    return frozenset(int(number) for number in _VERSION_TAG.findall(if_match))
