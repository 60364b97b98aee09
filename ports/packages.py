"""The port of package lists that operators provide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from domain.distributions import Distribution
from domain.packages import PackagesPage
from domain.paging import Page


class PackageLists(Protocol):
    """Lists of the packages in the repositories that every image type uses."""

    def search(self, distribution: Distribution, architecture: str, text: str, page: Page) -> PackagesPage | None:
        """Return the result of `domain.packages.search` in a package list.

        Returns None if there is no list for the distribution and architecture.
        """

    def find_similar(
        self, distribution: Distribution, architecture: str, names: Sequence[str]
    ) -> Mapping[str, Sequence[str]]:
        """For each misspelt name the names in the list that are closest to it; empty for no list."""
