"""Matching of abandoned starts with builds at the composer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.compose.passwords import SaltedPassword, insert_salts, strip_digests
from domain.starts import (
    AbandonedStart,
    Adoption,
    MatchedStarts,
    UnrecordedBuild,
    match_starts,
    normalize_request,
    normalized_variants,
)

ONE, OTHER = b"one request", b"another"
AGE = timedelta(hours=1)


def abandoned(*fingerprints: bytes) -> list[AbandonedStart]:
    return [AbandonedStart(uuid4(), each, AGE) for each in fingerprints]


def unrecorded(*fingerprints: bytes | None, is_adoptable: bool = True, age: timedelta = AGE) -> list[UnrecordedBuild]:
    return [
        UnrecordedBuild(uuid4(), None if each is None else frozenset({each}), age, is_adoptable)
        for each in fingerprints
    ]


def test_a_build_of_the_same_request_is_adopted() -> None:
    (start,), builds = abandoned(ONE), unrecorded(OTHER, ONE)
    assert match_starts([start], builds, complete=True) == MatchedStarts((Adoption(start.id, builds[1].compose),), ())


def test_a_start_without_a_build_is_released() -> None:
    (start,) = abandoned(ONE)
    assert match_starts([start], unrecorded(OTHER), complete=True) == MatchedStarts((), (start.id,))


def test_a_build_that_may_be_about_to_be_recorded_is_not_adopted() -> None:
    assert match_starts(abandoned(ONE), unrecorded(ONE, is_adoptable=False), complete=True) == MatchedStarts((), ())


@pytest.mark.parametrize(("further", "complete"), [((None,), True), ((), False)])
def test_no_start_is_released_while_the_request_of_a_build_is_unknown(
    further: tuple[None, ...], complete: bool
) -> None:
    starts, builds = abandoned(ONE, OTHER), unrecorded(ONE, *further)
    assert match_starts(starts, builds, complete=complete) == MatchedStarts(
        (Adoption(starts[0].id, builds[0].compose),), ()
    )


@pytest.mark.parametrize("fingerprint", [ONE, None])
def test_a_build_that_is_older_than_the_start_does_not_match(fingerprint: bytes | None) -> None:
    (start,) = abandoned(ONE)
    builds = unrecorded(fingerprint, age=AGE + timedelta(minutes=2))
    assert match_starts([start], builds, complete=True) == MatchedStarts((), (start.id,))


def test_equal_starts_are_matched_with_as_many_builds_oldest_first() -> None:
    starts, builds = abandoned(ONE, ONE, ONE), unrecorded(ONE, ONE)
    verdict = match_starts(starts, builds, complete=True)
    assert [each.start for each in verdict.adopted] == [starts[0].id, starts[1].id]
    assert {each.compose for each in verdict.adopted} == {build.compose for build in builds}
    assert verdict.released == (starts[2].id,)


@pytest.mark.parametrize("listed", ["older first", "younger first"])
def test_a_start_takes_the_oldest_build_so_that_a_younger_start_gets_the_other(listed: str) -> None:
    old, young = AbandonedStart(uuid4(), ONE, AGE), AbandonedStart(uuid4(), ONE, AGE / 2)
    (older,), (younger,) = unrecorded(ONE), unrecorded(ONE, age=AGE / 2)
    builds = [older, younger] if listed == "older first" else [younger, older]
    adopted = Adoption(old.id, older.compose), Adoption(young.id, younger.compose)
    assert match_starts([old, young], builds, complete=True) == MatchedStarts(adopted, ())


def test_a_build_of_a_blueprint_does_not_match_a_start_without_one() -> None:
    (without,) = abandoned(ONE)
    of_blueprint = AbandonedStart(uuid4(), OTHER, AGE, has_blueprint=True)
    build = UnrecordedBuild(uuid4(), frozenset({ONE, OTHER}), AGE, is_adoptable=True, has_blueprint=True)
    verdict = match_starts([without, of_blueprint], [build], complete=True)
    assert verdict == MatchedStarts((Adoption(of_blueprint.id, build.compose),), (without.id,))


def test_builds_without_a_start_are_ignored() -> None:
    assert match_starts([], unrecorded(ONE, OTHER), complete=True) == MatchedStarts((), ())


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
def test_empty_values_and_defaults_do_not_change_the_normalized_request(told: dict[str, Any]) -> None:
    sent = {"distribution": "centos-9", "image_request": {"size": 0, "repositories": [{"rhsm": True}], "tags": []}}
    assert normalize_request(told) == normalize_request(sent)


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
def test_different_requests_have_different_normalized_requests(other: dict[str, Any]) -> None:
    assert normalize_request(other) != normalize_request({"distribution": "centos-9", "packages": ["a", "b"]})


BUILD_ID = "7709b691-15a9-4dae-ae96-d6584b9f389f"
SALT = "./0aZ" + "x" * 11


def ordered(*passwords: str | None, **fields: Any) -> dict[str, Any]:
    """A composer's request with these passwords."""
    users = [
        {"name": str(number), **({} if password is None else {"password": password})}
        for number, password in enumerate(passwords)
    ]
    return {"distribution": "centos-9", "customizations": {"users": users}, **fields}


# As it is when its start is recorded, and as the composer tells it.
SENT = ordered(None, f"$6${SALT}$", "$6$other$digest")
ECHO = ordered(None, f"$6${SALT}$its-digest", "$6$other$digest")


def with_hashes(request: dict[str, Any]) -> dict[str, Any]:
    """What an older version recorded a start with; nothing in these requests says nothing."""
    return request


def test_a_start_matches_although_its_passwords_were_hashed_later() -> None:
    assert normalize_request(SENT) in normalized_variants(ECHO)


def test_a_plain_password_is_replaced_by_the_beginning_of_its_hash() -> None:
    users = insert_salts(
        ordered("plain", "$6$other$digest")["customizations"]["users"], {0: SaltedPassword("plain", SALT)}
    )
    assert [user["password"] for user in users] == [f"$6${SALT}$", "$6$other$digest"]


def test_a_normalized_request_contains_no_password_and_no_hash() -> None:
    assert "digest" not in str(normalize_request(ECHO))


def test_a_start_that_an_older_version_recorded_with_hashes_matches() -> None:
    assert with_hashes(ECHO) in normalized_variants(ECHO)


@pytest.mark.parametrize("recorded", [{}, {"blueprint_id": BUILD_ID}])
@pytest.mark.parametrize("told", [{}, {"blueprint_id": BUILD_ID}])
def test_a_start_recorded_without_its_blueprint_id_matches(recorded: dict[str, str], told: dict[str, str]) -> None:
    starts = [normalize_request({**SENT, **recorded}), with_hashes({**ECHO, **recorded})]
    builds = normalized_variants({**ECHO, **told})
    # A build that tells none was not ordered with one.
    assert all((start in builds) == (not recorded or recorded == told) for start in starts)


def test_the_same_request_with_other_passwords_is_another_request() -> None:
    other = ordered(None, f"$6${'y' * 16}$another-digest", "$6$other$digest")
    assert normalize_request(SENT) not in normalized_variants(other)


@pytest.mark.parametrize(
    ("hashed", "known"),
    [
        ("$6$salt$digest", "$6$salt"),
        ("$6$rounds=5000$salt$digest", "$6$rounds=5000$salt"),
        ("$5$salt$digest", "$5$salt"),
        ("$2b$12$" + "s" * 22 + "d" * 31, "$2b$12$" + "s" * 22),
        ("$6$", "$6"),
        ("", ""),
        ("$6$a$b$c", "$6$a$b"),
    ],
)
def test_only_the_form_and_the_salt_of_a_hash_are_compared(hashed: str, known: str) -> None:
    (user,) = strip_digests(ordered(hashed)["customizations"]["users"])
    assert user["password"] == known


@pytest.mark.parametrize(
    "request_", [{}, {"customizations": None}, {"customizations": {"users": None}}, {"customizations": {"users": [1]}}]
)
def test_a_request_of_any_shape_can_be_normalized(request_: dict[str, Any]) -> None:
    assert normalized_variants(request_)


def test_unchanged_large_parts_are_not_copied() -> None:
    files = [{"path": "/a", "data": "x"}]
    made = normalize_request({"customizations": {"files": files, "packages": []}})
    assert made == {"customizations": {"files": files}}
    assert made["customizations"]["files"] is files
