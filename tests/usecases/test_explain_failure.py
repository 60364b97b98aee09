"""Explanations of failed builds: similar names come from the build's own distribution."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from domain.distributions import AllowList, Catalogue
from domain.failures import FailureCode
from domain.status import BuildError
from image_builder.usecases.failures import ExplainFailure
from tests.support.builders import compose_request
from tests.support.domain_builders import a_distribution

MISSING = BuildError(21, "DNF error occurred: MarkingErrors", "Problems in request:\nmissing packages: ngnix")


class FakeLists:
    """Knows `nginx` on x86_64."""

    def find_similar(self, distribution: Any, architecture: str, names: Any) -> dict[str, list[str]]:
        known = (distribution.name, architecture) == ("centos-9", "x86_64")
        return {name: ["nginx"] for name in names} if known else {}


def explained(request: bytes | str) -> str:
    catalogue = Catalogue({"centos-9": a_distribution("centos-9")}, AllowList())
    found = ExplainFailure(catalogue, FakeLists())(MISSING, request)  # type: ignore[arg-type]
    assert found.code == FailureCode.PACKAGES_NOT_FOUND
    return found.hint


def test_a_hint_names_similar_packages_of_the_builds_distribution() -> None:
    assert "ngnix (did you mean nginx?)" in explained(orjson.dumps(compose_request(distribution="centos-9")))


@pytest.mark.parametrize(
    "request_text",
    [
        orjson.dumps(compose_request(distribution="no-such-distribution")),
        b"{}",
        b'{"distribution": 7, "image_requests": [{"architecture": "x86_64"}]}',
        b'{"distribution": "centos-9", "image_requests": []}',
        b"not JSON",
        "[]",
        b'{"distribution": "centos-9", "image_requests": [{"architecture": "x86_64"}], "x": "' + b"a" * 300_000 + b'"}',
    ],
    ids=["unknown", "empty", "a number", "no images", "no JSON", "a list", "large"],
)
def test_a_request_without_a_known_distribution_has_a_hint_without_similar_names(request_text: bytes | str) -> None:
    assert "did you mean" not in explained(request_text)
    assert "ngnix" in explained(request_text)
