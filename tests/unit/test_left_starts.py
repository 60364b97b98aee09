"""Which build at the composer is which start's (spec 40)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.starts import Adoption, LeftStart, Sighting, Verdict, essence, judge

ONE, OTHER = b"one request", b"another"
AGE = timedelta(hours=1)


def left(*fingerprints: bytes) -> list[LeftStart]:
    return [LeftStart(uuid4(), each, AGE) for each in fingerprints]


def seen(*fingerprints: bytes | None, settled: bool = True, age: timedelta = AGE) -> list[Sighting]:
    return [Sighting(uuid4(), each, age, settled) for each in fingerprints]


def test_a_build_of_the_same_request_is_adopted() -> None:
    (start,), builds = left(ONE), seen(OTHER, ONE)
    assert judge([start], builds, complete=True) == Verdict((Adoption(start.id, builds[1].compose),), ())


def test_a_start_without_a_build_is_released() -> None:
    (start,) = left(ONE)
    assert judge([start], seen(OTHER), complete=True) == Verdict((), (start.id,))


def test_a_build_that_somebody_may_be_about_to_record_is_waited_for() -> None:
    assert judge(left(ONE), seen(ONE, settled=False), complete=True) == Verdict((), ())


@pytest.mark.parametrize(("further", "complete"), [((None,), True), ((), False)])
def test_nothing_is_released_while_there_are_builds_that_nobody_knows_the_request_of(
    further: tuple[None, ...], complete: bool
) -> None:
    starts, builds = left(ONE, OTHER), seen(ONE, *further)
    assert judge(starts, builds, complete=complete) == Verdict((Adoption(starts[0].id, builds[0].compose),), ())


@pytest.mark.parametrize("fingerprint", [ONE, None])
def test_a_build_that_was_there_before_the_start_is_not_the_start_s(fingerprint: bytes | None) -> None:
    (start,) = left(ONE)
    builds = seen(fingerprint, age=AGE + timedelta(minutes=2))
    assert judge([start], builds, complete=True) == Verdict((), (start.id,))


def test_of_starts_that_look_alike_as_many_are_adopted_as_there_are_builds_the_oldest_first() -> None:
    starts, builds = left(ONE, ONE, ONE), seen(ONE, ONE)
    verdict = judge(starts, builds, complete=True)
    assert [each.start for each in verdict.adopted] == [starts[0].id, starts[1].id]
    assert {each.compose for each in verdict.adopted} == {build.compose for build in builds}
    assert verdict.released == (starts[2].id,)


@pytest.mark.parametrize("listed", ["older first", "younger first"])
def test_a_younger_start_is_left_the_build_that_it_may_have(listed: str) -> None:
    old, young = LeftStart(uuid4(), ONE, AGE), LeftStart(uuid4(), ONE, AGE / 2)
    (older,), (younger,) = seen(ONE), seen(ONE, age=AGE / 2)
    builds = [older, younger] if listed == "older first" else [younger, older]
    adopted = Adoption(old.id, older.compose), Adoption(young.id, younger.compose)
    assert judge([old, young], builds, complete=True) == Verdict(adopted, ())


def test_builds_without_a_start_are_nobody_s_business() -> None:
    assert judge([], seen(ONE, OTHER), complete=True) == Verdict((), ())


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
        {
            "distribution": "centos-9",
            "image_request": {"repositories": [{"rhsm": True}], "upload_options": {"hyper_v_generation": "V1"}},
            "customizations": {"partitioning_mode": "auto-lvm"},
        },
    ],
)
def test_what_the_composer_leaves_out_or_puts_in_for_nothing_makes_no_other_request(told: dict[str, Any]) -> None:
    sent = {"distribution": "centos-9", "image_request": {"size": 0, "repositories": [{"rhsm": True}], "tags": []}}
    assert essence(told) == essence(sent)


@pytest.mark.parametrize(
    "other",
    [
        {"distribution": "centos-10", "packages": ["a", "b"]},
        {"distribution": "centos-9", "packages": ["b", "a"]},
        {"distribution": "centos-9", "packages": ["a", "b"], "size": 1},
        {"distribution": "centos-9", "packages": ["a", "b"], "partitioning_mode": "lvm"},
        {"distribution": "centos-9", "packages": ["a", "b", ""]},
    ],
)
def test_requests_that_ask_for_something_else_are_told_apart(other: dict[str, Any]) -> None:
    assert essence(other) != essence({"distribution": "centos-9", "packages": ["a", "b"]})
