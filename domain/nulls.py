"""Removes nulls from documents: in most documents a null has the same meaning as a missing key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


def without_nulls(mapping: Mapping[K, V | None]) -> dict[K, V]:
    """Return the entries of `mapping` whose value is not None; nested documents are not changed."""
    return {key: value for key, value in mapping.items() if value is not None}


def without_nested_nulls(value: Any, *, in_lists: bool = False) -> Any:
    """Return `value` without keys whose value is null, at any depth; with `in_lists` also without nulls in lists."""
    if isinstance(value, dict):
        return {key: without_nested_nulls(one, in_lists=in_lists) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [without_nested_nulls(one, in_lists=in_lists) for one in value if not (in_lists and one is None)]
    return value
