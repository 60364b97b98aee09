"""Which build at the composer is which start's (spec 40)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.compose.passwords import SaltedPassword, insert_salts, strip_digests
from domain.starts import (
    Adoption,
    LeftStart,
    Sighting,
    Verdict,
    essence,
    essences_of_build,
    judge,
)

ONE, OTHER = b"one request", b"another"
AGE = timedelta(hours=1)


def left(*fingerprints: bytes) -> list[LeftStart]:
    return [LeftStart(uuid4(), each, AGE) for each in fingerprints]


def seen(*fingerprints: bytes | None, settled: bool = True, age: timedelta = AGE) -> list[Sighting]:
    return [Sighting(uuid4(), None if each is None else frozenset({each}), age, settled) for each in fingerprints]


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


def test_a_build_of_a_blueprint_is_not_a_start_s_without_one() -> None:
    (without,) = left(ONE)
    of_blueprint = LeftStart(uuid4(), OTHER, AGE, of_blueprint=True)
    build = Sighting(uuid4(), frozenset({ONE, OTHER}), AGE, settled=True, of_blueprint=True)
    verdict = judge([without, of_blueprint], [build], complete=True)
    assert verdict == Verdict((Adoption(of_blueprint.id, build.compose),), (without.id,))


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


def test_a_start_is_recognized_though_its_passwords_were_hashed_after_it_was_recorded() -> None:
    assert essence(SENT) in essences_of_build(ECHO)


def test_a_plain_password_is_replaced_by_the_beginning_of_its_hash() -> None:
    users = insert_salts(
        ordered("plain", "$6$other$digest")["customizations"]["users"], {0: SaltedPassword("plain", SALT)}
    )
    assert [user["password"] for user in users] == [f"$6${SALT}$", "$6$other$digest"]


def test_what_a_start_is_recognized_by_holds_no_password_and_no_hash() -> None:
    assert "digest" not in str(essence(ECHO))


def test_a_start_that_an_older_version_recorded_with_its_hashes_is_recognized() -> None:
    assert with_hashes(ECHO) in essences_of_build(ECHO)


@pytest.mark.parametrize("recorded", [{}, {"blueprint_id": BUILD_ID}])
@pytest.mark.parametrize("told", [{}, {"blueprint_id": BUILD_ID}])
def test_the_blueprint_s_id_makes_no_difference_once_the_composer_tells_it(
    recorded: dict[str, str], told: dict[str, str]
) -> None:
    starts = [essence({**SENT, **recorded}), with_hashes({**ECHO, **recorded})]
    builds = essences_of_build({**ECHO, **told})
    # A build that tells none was not ordered with one.
    assert all((start in builds) == (not recorded or recorded == told) for start in starts)


def test_the_same_request_with_other_passwords_is_another_request() -> None:
    other = ordered(None, f"$6${'y' * 16}$another-digest", "$6$other$digest")
    assert essence(SENT) not in essences_of_build(other)


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
def test_of_a_hash_only_its_form_and_salt_are_looked_at(hashed: str, known: str) -> None:
    (user,) = strip_digests(ordered(hashed)["customizations"]["users"])
    assert user["password"] == known


@pytest.mark.parametrize(
    "request_", [{}, {"customizations": None}, {"customizations": {"users": None}}, {"customizations": {"users": [1]}}]
)
def test_a_request_of_any_shape_has_an_essence(request_: dict[str, Any]) -> None:
    assert essences_of_build(request_)


def test_what_is_large_and_stays_as_it_is_is_not_copied() -> None:
    files = [{"path": "/a", "data": "x"}]
    made = essence({"customizations": {"files": files, "packages": []}})
    assert made == {"customizations": {"files": files}}
    assert made["customizations"]["files"] is files
