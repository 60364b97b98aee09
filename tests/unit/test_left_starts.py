"""Which build at the composer is which start's (spec 40)."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.starts import Adoption, LeftStart, Sightings, Verdict, essence, judge

ONE, OTHER = b"one request", b"another"


def left(*fingerprints: bytes) -> list[LeftStart]:
    return [LeftStart(uuid4(), each) for each in fingerprints]


def settled(*fingerprints: bytes) -> dict[UUID, bytes]:
    return {uuid4(): each for each in fingerprints}


def test_a_build_of_the_same_request_is_adopted() -> None:
    (start,), builds = left(ONE), settled(OTHER, ONE)
    verdict = judge([start], Sightings(builds))
    assert verdict == Verdict((Adoption(start.id, list(builds)[1]),), ())


def test_a_start_without_a_build_is_released() -> None:
    (start,) = left(ONE)
    assert judge([start], Sightings(settled(OTHER))) == Verdict((), (start.id,))


def test_a_build_that_somebody_may_be_about_to_record_is_waited_for() -> None:
    assert judge(left(ONE), Sightings({}, fresh=frozenset({ONE}))) == Verdict((), ())


def test_nothing_is_released_while_there_are_builds_that_nobody_knows_the_request_of() -> None:
    starts, builds = left(ONE, OTHER), settled(ONE)
    verdict = judge(starts, Sightings(builds, complete=False))
    assert verdict == Verdict((Adoption(starts[0].id, next(iter(builds))),), ())


def test_of_starts_that_look_alike_as_many_are_adopted_as_there_are_builds_the_oldest_first() -> None:
    starts, builds = left(ONE, ONE, ONE), settled(ONE, ONE)
    verdict = judge(starts, Sightings(builds))
    assert [each.start for each in verdict.adopted] == [starts[0].id, starts[1].id]
    assert {each.compose for each in verdict.adopted} == set(builds)
    assert verdict.released == (starts[2].id,)


def test_builds_without_a_start_are_nobody_s_business() -> None:
    assert judge([], Sightings(settled(ONE, OTHER))) == Verdict((), ())


@pytest.mark.parametrize(
    "told",
    [
        {"distribution": "centos-9", "image_request": {"size": 0, "repositories": [{"rhsm": True}]}},
        {"image_request": {"repositories": [{"rhsm": True}], "size": 0}, "distribution": "centos-9"},
        {
            "distribution": "centos-9",
            "image_request": {"size": 0, "ostree": None, "repositories": [{"rhsm": True, "check_gpg": False}]},
            "customizations": {"packages": [], "users": None},
        },
    ],
)
def test_what_the_composer_leaves_out_or_puts_in_as_nothing_makes_no_other_request(told: dict[str, Any]) -> None:
    sent = {"distribution": "centos-9", "image_request": {"size": 0, "repositories": [{"rhsm": True}], "tags": []}}
    assert essence(told) == essence(sent)


@pytest.mark.parametrize(
    "other",
    [
        {"distribution": "centos-10", "packages": ["a", "b"]},
        {"distribution": "centos-9", "packages": ["b", "a"]},
        {"distribution": "centos-9", "packages": ["a", "b"], "size": 0},
        {"distribution": "centos-9", "packages": ["a", "b", ""]},
    ],
)
def test_requests_that_ask_for_something_else_are_told_apart(other: dict[str, Any]) -> None:
    assert essence(other) != essence({"distribution": "centos-9", "packages": ["a", "b"]})
