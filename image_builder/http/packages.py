"""Packages over HTTP: parse, call, present (contract: /packages, /experimental/recommendations)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import Response

from domain.identity import Identity
from domain.paging import Page
from image_builder.http.answers import json_answer
from image_builder.http.call import Lane, Route
from image_builder.http.pages import page_answer
from image_builder.usecases.packages import SearchPackages
from image_builder.usecases.recommendations import RecommendPackages

# The order of the keys in links, which clients compare (operation getPackages).
_LINK_KEYS: Final = ("search", "distribution", "architecture", "offset", "limit")


@dataclass(frozen=True, slots=True)
class PackagesController:
    """The operations on packages; `base` is the path that links begin with."""

    find: SearchPackages
    recommend_packages: RecommendPackages
    base: str

    def routes(self) -> Mapping[str, Route]:
        """The handlers of these operations, by operation id."""
        return {
            "getPackages": Route(self.search, Lane.WAITING, rarely_waits=True),
            "recommendPackage": Route(self.recommend, Lane.WAITING),
        }

    def search(
        self, identity: Identity, distribution: str, architecture: str, search: str, limit: int, offset: int
    ) -> Response:
        """GET /packages"""
        page = Page(limit, offset)
        found = self.find(identity, distribution, architecture, search, page)
        filters = {"search": search, "distribution": distribution, "architecture": architecture}
        data = [{"name": each.name, "summary": each.summary} for each in found.packages]
        return page_answer(f"{self.base}/packages", page, found.count, filters, data, key_order=_LINK_KEYS)

    def recommend(self, identity: Identity, body: dict[str, Any]) -> Response:  # noqa: ARG002 - whoever asks, the same
        """POST /experimental/recommendations"""
        found = self.recommend_packages(body["packages"], body["recommendedPackages"], body["distribution"])
        model = {} if found.model_version is None else {"modelVersion": found.model_version}
        return json_answer({"packages": found.packages, **model})
