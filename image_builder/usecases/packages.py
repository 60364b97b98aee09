"""Search packages in the operators' package lists, or at the composer (openapi.yaml, operation getPackages)."""

from __future__ import annotations

from dataclasses import dataclass

from domain.compose.repositories import write_repository
from domain.distributions import Catalogue
from domain.identity import Identity
from domain.packages import PackagesPage, search
from domain.paging import Page
from ports.composer import Composer
from ports.packages import PackageLists


@dataclass(frozen=True, slots=True)
class SearchPackages:
    """Searches the packages that a caller can install in images of a distribution."""

    catalogue: Catalogue
    lists: PackageLists
    composer: Composer

    def __call__(self, identity: Identity, distribution: str, architecture: str, text: str, page: Page) -> PackagesPage:
        """Return a page of the packages whose names contain `text` (case-sensitive), ranked.

        Raises InvalidRequestError and ForbiddenError as `Catalogue.get_for` does, InvalidRequestError for an
        architecture that the distribution lacks, and UnavailableError if no list exists and the composer is
        unavailable.
        """
        entry = self.catalogue.get_for(distribution, org_id=identity.tenant, entitled=identity.entitled)
        repositories = entry.architecture(architecture).untagged_repositories
        page_from_list = self.lists.search(entry, architecture, text, page)
        if page_from_list is not None:
            return page_from_list
        if not repositories:  # without repositories the composer would search its own
            return PackagesPage(0, ())
        packages = self.composer.search_packages(
            entry.composer_distribution, architecture, [write_repository(each) for each in repositories], text
        )
        return search(packages, text, page)
