"""Which packages there are, as far as operators have written it down."""

from __future__ import annotations

from typing import Protocol

from domain.distributions import Distribution
from domain.packages import PackagesPage
from domain.paging import Page


class PackageLists(Protocol):
    """The lists of the repositories that every image type uses."""

    def search(self, distribution: Distribution, architecture: str, text: str, page: Page) -> PackagesPage | None:
        """What `domain.packages.search` finds in them; None where the distribution has none for the architecture."""
