"""Labels: `key: value` pairs by which an organization marks its builds and blueprints (openapi.yaml, schema Labels)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from domain.errors import InvalidRequestError
from domain.texts import shorten

Labels = Mapping[str, str]

NO_LABELS: Final[Labels] = MappingProxyType({})
# Labels of one build or blueprint (openapi.yaml, schema Labels).
MAX_LABELS: Final = 30
# Characters of a value.
_MAX_VALUE_LENGTH: Final = 255
_KEY: Final = re.compile(r"[A-Za-z0-9._/-]{1,63}")
_KEY_RULE: Final = "1 to 63 letters (a to z), digits, `.`, `_`, `-` and `/`"


def check_labels(labels: Labels) -> None:
    """Raise InvalidRequestError for more than MAX_LABELS labels, and for a key or a value that is not allowed."""
    if len(labels) > MAX_LABELS:
        raise InvalidRequestError(f"labels: expected at most {MAX_LABELS} labels, not {len(labels)}")
    for key, value in labels.items():
        if _KEY.fullmatch(key) is None:
            raise InvalidRequestError(f"labels: {shorten(key, 100)!r} is no key; a key has {_KEY_RULE}")
        if len(value) > _MAX_VALUE_LENGTH or "\0" in value:
            raise InvalidRequestError(
                f"labels.{key}: expected at most {_MAX_VALUE_LENGTH} characters, none of them NUL"
            )


def merge_labels(blueprint: Labels, requested: Labels) -> dict[str, str]:
    """The labels of a build: those of its blueprint, replaced by key by those of the request.

    Raises InvalidRequestError if these are more than MAX_LABELS.
    """
    merged = {**blueprint, **requested}
    if len(merged) > MAX_LABELS:
        raise InvalidRequestError(
            f"labels: the builds would have {len(merged)} labels, those of the blueprint included; "
            f"expected at most {MAX_LABELS}"
        )
    return merged
