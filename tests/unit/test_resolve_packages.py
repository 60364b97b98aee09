"""Answers of the package resolution are shared, and limited per organization."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from domain.errors import RateLimitedError, UnavailableError
from domain.status import BuildError
from image_builder.usecases.resolve import ResolvePackages
from ports.deadline import remaining_seconds, until
from ports.resolver import Resolution
from tests.support.waiting import PATIENCE


class HeldResolver:
    """A resolver whose calls end when `release` is set."""

    def __init__(self, packages: int = 1, error: Exception | None = None, resolution: Resolution | None = None) -> None:
        self.calls = 0
        self.packages = packages
        self.resolution = resolution
        self.error = error
        self.begun, self.release = Event(), Event()

    def resolve_packages(self, request: Any) -> Resolution:
        self.calls += 1
        self.begun.set()
        assert self.release.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        if self.resolution is not None:
            return self.resolution
        return Resolution(packages=[{"name": f"p{number}"} for number in range(self.packages)])


def test_those_who_wait_for_a_shared_answer_need_no_place_of_their_organization() -> None:
    resolver = HeldResolver()
    resolve = ResolvePackages(resolver)
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(resolve, "t", {"a": 1}) for _ in range(6)]
        other = threads.submit(resolve, "t", {"a": 2})
        while resolver.calls < 2:
            assert resolver.begun.wait(PATIENCE)
        with pytest.raises(RateLimitedError):
            resolve("t", {"a": 3})
        independent = threads.submit(resolve, "another", {"a": 4})
        resolver.release.set()
        assert len({id(each.result(PATIENCE)) for each in waiting}) == 1
        assert other.result(PATIENCE) != ()
        independent.result(PATIENCE)
    assert resolver.calls == 3


def test_the_order_of_keys_does_not_matter() -> None:
    resolver = HeldResolver()
    resolver.release.set()
    resolve = ResolvePackages(resolver)
    assert resolve("t", {"a": 1, "b": 2}) is resolve("t", {"b": 2, "a": 1})
    assert resolver.calls == 1


def test_equal_requests_of_several_organizations_share_one_answer() -> None:
    resolver = HeldResolver()
    resolver.release.set()
    resolve = ResolvePackages(resolver)
    assert resolve("t", {"a": 1}) is resolve("another", {"a": 1})
    assert resolver.calls == 1


@pytest.mark.parametrize(
    ("details", "calls"),
    [
        ("missing packages: ngnix", 1),
        ("nothing provides libfoo.so.1 needed by foo-1.0", 1),
        ("Failed to download metadata for repo 'os' [https://repo.invalid/]: 503", 2),
    ],
)
def test_an_error_is_shared_only_if_the_request_causes_it(details: str, calls: int) -> None:
    resolver = HeldResolver(resolution=Resolution(error=BuildError(9, "Failed to depsolve packages", details)))
    resolver.release.set()
    resolve = ResolvePackages(resolver)
    assert resolve("t", {"a": 1}) == resolve("t", {"a": 1})
    assert resolver.calls == calls


def test_a_resolution_has_only_the_deadline_of_its_caller() -> None:
    """Otherwise a composer that hangs would open no circuit breaker, which disregards calls with a short deadline."""
    seconds = []

    class Recording:
        def resolve_packages(self, request: Any) -> Resolution:
            seconds.append(remaining_seconds())
            return Resolution()

    with until(1000):
        ResolvePackages(Recording())("t", {"a": 1})
    assert seconds[0] > 500


def test_a_failure_is_not_kept_and_gives_the_place_back() -> None:
    resolver = HeldResolver(error=UnavailableError("away"))
    resolver.release.set()
    resolve = ResolvePackages(resolver)
    for number in range(1, 5):
        with pytest.raises(UnavailableError):
            resolve("t", {"a": 1})
        assert resolver.calls == number


def test_an_unforeseen_error_gives_the_place_back() -> None:
    resolver = HeldResolver(error=RuntimeError("a fault"))
    resolver.release.set()
    resolve = ResolvePackages(resolver)
    for number in range(3):
        with pytest.raises(RuntimeError):
            resolve("t", {"a": number})


def test_the_kept_answers_are_bounded_in_size() -> None:
    resolver = HeldResolver(packages=30_000)
    resolver.release.set()
    resolve = ResolvePackages(resolver)
    for number in (1, 2, 3):
        resolve("t", {"a": number})
    resolve("t", {"a": 3})
    assert resolver.calls == 3
    resolve("t", {"a": 1})
    assert resolver.calls == 4
