"""Pages of a list."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list: up to `limit` entries, beginning with the entry number `offset`, counted from 0."""

    limit: int
    offset: int
