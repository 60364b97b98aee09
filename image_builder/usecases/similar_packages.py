"""Find existing package names for misspelt ones: in the operators' package lists, or at the composer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from domain.compose.repositories import write_repository
from domain.distributions import Distribution
from domain.errors import UnavailableError
from domain.name_patterns import write_patterns
from domain.packages import PackagesPage
from domain.paging import Page
from domain.similar_names import NameIndex
from ports.composer import Composer
from ports.deadline import until
from ports.packages import PackageLists
from ports.shared_calls import SharedCalls

# Seconds for a search at the composer, and for which its result is shared.
_TIMEOUT: Final = 5.0
_VALID_FOR: Final = 300.0


@dataclass(frozen=True, slots=True)
class _Search:
    """A search at the composer. The name stands for the distribution in comparisons."""

    distribution: Distribution = field(compare=False, repr=False)
    name: str
    architecture: str
    misspelt: tuple[str, ...]


class PackageListsOrSearch:
    """Package lists that ask the composer for similar names where a distribution has no list. Thread-safe.

    Implements ports.packages.PackageLists.
    """

    def __init__(self, lists: PackageLists, composer: Composer) -> None:
        self._lists = lists
        self._composer = composer
        self._shared = SharedCalls(self._search, valid_for=_VALID_FOR)

    def search(self, distribution: Distribution, architecture: str, text: str, page: Page) -> PackagesPage | None:
        """Implements `PackageLists.search`, in the lists alone."""
        return self._lists.search(distribution, architecture, text, page)

    def find_similar(
        self, distribution: Distribution, architecture: str, names: Sequence[str]
    ) -> Mapping[str, Sequence[str]]:
        """Implements `PackageLists.find_similar`; empty also if the composer does not answer in time."""
        found = self._lists.find_similar(distribution, architecture, names)
        if found or not names:
            return found
        try:
            return self._shared(_Search(distribution, distribution.name, architecture, tuple(names)))
        except UnavailableError:
            return {}

    def _search(self, search: _Search) -> Mapping[str, Sequence[str]]:
        distribution = search.distribution
        repositories = distribution.architecture(search.architecture).untagged_repositories
        patterns = [pattern for name in search.misspelt for pattern in write_patterns(name)]
        if not repositories or not patterns:  # without repositories the composer would search its own
            return {}
        with until(_TIMEOUT):
            packages = self._composer.match_packages(
                distribution.composer_distribution,
                search.architecture,
                list(map(write_repository, repositories)),
                patterns,
            )
        index = NameIndex(sorted({package.name for package in packages}))
        return {name: index.closest(name) for name in search.misspelt}
