"""Pages of a list."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """`limit` entries from number `offset` on, counted from 0."""

    limit: int
    offset: int
