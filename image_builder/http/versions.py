"""Versions of a resource as entity tags (RFC 9110, sections 8.8.3 and 13.1.1)."""

from __future__ import annotations

import re
from typing import Final

from domain.errors import InvalidRequestError

_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
# Empty elements of a list mean nothing (section 5.6.1.2).
_TAGS: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_OURS: Final = re.compile(r'(?<!W/)"([1-9][0-9]{0,18})"')


def etag(version: int) -> str:
    """The strong tag of a version."""
    return f'"{version}"'


def wanted_versions(if_match: str | None) -> frozenset[int] | None:
    """The versions that an If-Match header means, None for any; tags that are none of ours match nothing.

    Raises InvalidRequestError for what is no list of tags.
    """
    if if_match is None or if_match.strip(" \t") == "*":
        return None
    if not _TAGS.fullmatch(if_match):
        raise InvalidRequestError('If-Match: expected entity tags, such as "3" with its quotation marks')
    return frozenset(int(number) for number in _OURS.findall(if_match))
