"""The controller of packages (openapi.yaml, operations getPackages and recommendPackage)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from domain.identity import Identity
from domain.paging import Page
from image_builder.http.answers import Answer, json_answer
from image_builder.http.call import Lane, Route
from image_builder.http.pages import page_answer
from image_builder.usecases.packages import SearchPackages
from image_builder.usecases.recommendations import RecommendPackages

# The order of the query's keys in links; clients compare links as texts.
_LINK_KEYS: Final = ("search", "distribution", "architecture", "repository", "offset", "limit")


@dataclass(frozen=True, slots=True)
class PackagesController:
    """Operations on packages; `link_base` is the path that links in answers begin with."""

    search_packages: SearchPackages
    recommend_packages: RecommendPackages
    link_base: str

    def routes(self) -> Mapping[str, Route]:
        """The handlers of these operations, by operation id."""
        return {
            "getPackages": Route(self.search, Lane.WAITING, at_once=True),
            "recommendPackage": Route(self.recommend, Lane.WAITING),
        }

    def search(
        self,
        identity: Identity,
        distribution: str,
        architecture: str,
        search: str,
        limit: int,
        offset: int,
        repository: Sequence[str],
    ) -> Answer:
        """Handle GET /packages."""
        page = Page(limit, offset)
        found = self.search_packages(identity, distribution, architecture, search, page, repository)
        filters: dict[str, Any] = {"search": search, "distribution": distribution, "architecture": architecture}
        if repository:
            filters["repository"] = repository
        key_order = [key for key in _LINK_KEYS if key in filters or key in {"offset", "limit"}]
        data = [{"name": each.name, "summary": each.summary} for each in found.packages]
        return page_answer(f"{self.link_base}/packages", page, found.count, filters, data, key_order=key_order)

    def recommend(self, identity: Identity, body: dict[str, Any]) -> Answer:  # noqa: ARG002 - the same for all
        """Handle POST /experimental/recommendations."""
        found = self.recommend_packages(body["packages"], body["recommendedPackages"], body["distribution"])
        model = {} if found.model_version is None else {"modelVersion": found.model_version}
        return json_answer({"packages": found.packages, **model})
