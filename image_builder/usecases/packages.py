"""Search packages in the operators' package lists, or at the composer (openapi.yaml, operation getPackages)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from domain.compose.customer_repositories import find_latest_url
from domain.compose.repositories import write_repository
from domain.compose.snapshots import ContentSettings
from domain.content import CUSTOM_ORIGINS, ContentRepository
from domain.distributions import Catalogue
from domain.errors import InvalidRequestError
from domain.identity import Identity
from domain.packages import PackagesPage, search
from domain.paging import Page
from domain.uuids import is_uuid
from image_builder.usecases.concurrency import require_configured
from ports.composer import Composer
from ports.content_sources import ContentSources
from ports.packages import PackageLists

_URL: Final = re.compile(r"https?://[^\s/?#]+[^\s]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SearchPackages:
    """Searches the packages that a caller can install in images of a distribution.

    `content` says where builds read the snapshots of content sources.
    """

    catalogue: Catalogue
    lists: PackageLists
    composer: Composer
    content_sources: ContentSources | None = None
    content: ContentSettings = field(default_factory=ContentSettings)

    def __call__(
        self,
        identity: Identity,
        distribution: str,
        architecture: str,
        text: str,
        page: Page,
        additional: Sequence[str] = (),
    ) -> PackagesPage:
        """Return a page of the packages whose names contain `text` (case-sensitive), ranked.

        `additional` are further repositories: base URLs, or ids of the caller's repositories in content sources. With
        them the composer is asked, otherwise the package list if there is one.

        Raises InvalidRequestError and ForbiddenError as `Catalogue.get_for` does, InvalidRequestError for an
        architecture that the distribution lacks and for an unknown repository, and UnavailableError if a back-end that
        is needed is unavailable.
        """
        entry = self.catalogue.get_for(distribution, org_id=identity.tenant, entitled=identity.entitled)
        repositories = entry.architecture(architecture).untagged_repositories
        page_from_list = None if additional else self.lists.search(entry, architecture, text, page)
        if page_from_list is not None:
            return page_from_list
        if not repositories:  # the composer does not know the distribution, or would search its own repositories
            if additional:
                raise InvalidRequestError("repository: the distribution has no repositories to search these with")
            return PackagesPage(0, ())
        written = [*map(write_repository, repositories), *self._write_additional(identity, additional)]
        packages = self.composer.search_packages(entry.composer_distribution, architecture, written, text)
        return search(packages, text, page)

    def _write_additional(self, identity: Identity, additional: Sequence[str]) -> list[dict[str, Any]]:
        """Return the composer's entries of these repositories, in their order."""
        ids = list(dict.fromkeys(each.lower() for each in additional if is_uuid(each)))
        known: dict[str, ContentRepository] = {}
        if ids:
            content_sources = require_configured(self.content_sources, "content sources")
            known = {each.uuid: each for each in content_sources.by_uuid(identity, ids, CUSTOM_ORIGINS)}
        return [self._write_known(each, known) if is_uuid(each) else _write_url(each) for each in additional]

    def _write_known(self, uuid: str, known: Mapping[str, ContentRepository]) -> dict[str, Any]:
        repository = known.get(uuid.lower())
        url = "" if repository is None else find_latest_url(repository, self.content)
        if not url:
            raise InvalidRequestError(f"repository: content sources has no repository {uuid} of the organization")
        return {"baseurl": url, "rhsm": False}


def _write_url(url: str) -> dict[str, Any]:
    if not _URL.fullmatch(url):
        raise InvalidRequestError("repository: expected a base URL with http or https, or the id of a repository")
    return {"baseurl": url, "rhsm": False}
