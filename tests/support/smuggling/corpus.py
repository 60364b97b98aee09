"""All entries of the corpus."""

from __future__ import annotations

from typing import Final

from tests.support.smuggling import arrival, chunking, framing, heads, upgrades
from tests.support.smuggling.messages import Entry, unique

ENTRIES: Final[tuple[Entry, ...]] = unique(
    [
        *framing.entries(),
        *chunking.entries(),
        *upgrades.entries(),
        *heads.entries(),
        *arrival.entries(),
    ]
)
