"""Similar names for misspelt packages: from the lists, or by a search of the composer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from domain.compose.repositories import write_repository
from domain.errors import UnavailableError
from domain.packages import Package
from image_builder.usecases.similar_packages import PackageListsOrSearch
from ports.deadline import remaining_seconds
from tests.support.domain_builders import a_distribution, a_repository

BASEOS = a_repository("baseos")
CENTOS = a_distribution("centos-9", BASEOS, a_repository("google", tags=("gcp",)), composer_name="centos-stream-9")


class FakeLists:
    def __init__(self, similar: Mapping[str, Sequence[str]]) -> None:
        self.similar = similar

    def search(self, *_: Any) -> None:
        return None

    def find_similar(self, *_: Any) -> Mapping[str, Sequence[str]]:
        return self.similar


class FakeComposer:
    def __init__(self, *names: str, error: Exception | None = None) -> None:
        self.names = names
        self.error = error
        self.calls: list[tuple[Any, ...]] = []

    def match_packages(
        self, distribution: str, architecture: str, repositories: Any, patterns: Sequence[str]
    ) -> tuple[Package, ...]:
        self.calls.append((distribution, architecture, repositories, remaining_seconds()))
        if self.error is not None:
            raise self.error
        return tuple(Package(name, "") for name in self.names if any(fnmatchcase(name, each) for each in patterns))


def similar(
    composer: Any, *names: str, lists: Mapping[str, Sequence[str]] | None = None, distribution: Any = CENTOS
) -> Mapping[str, Sequence[str]]:
    found: Any = PackageListsOrSearch(FakeLists(lists or {}), composer)
    answer: Mapping[str, Sequence[str]] = found.find_similar(distribution, "x86_64", names)
    return answer


def test_a_distribution_with_a_list_needs_no_search() -> None:
    composer = FakeComposer("nginx")
    assert similar(composer, "ngnix", lists={"ngnix": ["listed"]}) == {"ngnix": ["listed"]}
    assert similar(composer, "ngnix", lists={"ngnix": []}) == {"ngnix": []}
    assert composer.calls == []


def test_without_a_list_the_composer_is_asked_once_for_all_names() -> None:
    composer = FakeComposer("nginx", "httpd", "vim-enhanced")
    found = similar(composer, "ngnix", "apache2", "vim-enhnaced", "absent-7")
    assert found == {"ngnix": ["nginx"], "apache2": ["httpd"], "vim-enhnaced": ["vim-enhanced"], "absent-7": []}
    ((distribution, architecture, repositories, seconds),) = composer.calls
    assert (distribution, architecture, repositories) == ("centos-stream-9", "x86_64", [write_repository(BASEOS)])
    assert seconds <= 5


def test_equal_searches_share_one_result() -> None:
    composer: Any = FakeComposer("nginx")
    lists: Any = PackageListsOrSearch(FakeLists({}), composer)
    for names in (["ngnix"], ["ngnix"], ["nignx"]):
        lists.find_similar(CENTOS, "x86_64", names)
    assert len(composer.calls) == 2


def test_a_composer_that_does_not_answer_costs_only_the_suggestions_and_is_asked_again() -> None:
    composer: Any = FakeComposer(error=UnavailableError("away"))
    lists: Any = PackageListsOrSearch(FakeLists({}), composer)
    assert lists.find_similar(CENTOS, "x86_64", ["ngnix"]) == {}
    assert lists.find_similar(CENTOS, "x86_64", ["ngnix"]) == {}
    assert len(composer.calls) == 2


def test_nothing_is_searched_without_repositories_or_names() -> None:
    composer = FakeComposer("nginx")
    assert similar(composer, "ngnix", distribution=a_distribution("empty-1")) == {}
    assert similar(composer) == {}
    assert similar(composer, "a?b") == {}
    assert composer.calls == []
