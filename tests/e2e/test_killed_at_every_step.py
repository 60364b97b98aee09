"""The service is killed, or the database shut down, while clients start builds: every promise to clients is kept.

`CRASH_ROUNDS` and `CRASH_SEED` select other rounds; a round is the same for the same seed and number.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.composes import listed
from tests.support.cuts import Round, rounds
from tests.support.rounds import SEED, repeated
from tests.support.service import Client
from tests.support.settled import Settled, settled
from tests.support.stage import Played, Stage, stage
from tests.support.waiting import until

ROUNDS = rounds(int(os.environ.get("CRASH_ROUNDS", repeated(5, 20))), int(os.environ.get("CRASH_SEED", SEED)))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("stage")) as ready:
        yield ready


@pytest.fixture(scope="module", params=ROUNDS, ids=str)
def played(scene: Stage, request: pytest.FixtureRequest) -> Played:
    """A round, which is played once for all tests that check it."""
    drawn: Round = request.param
    return scene.play(drawn)


def answered(client: Client, compose_id: str) -> int:
    """The status of the answer for a build, after temporary errors."""
    answers: list[int] = []

    def said() -> bool:
        answers.append(client.get(f"/composes/{compose_id}").status_code)
        return answers[-1] != 503

    until(said, f"{compose_id} is answered")
    return answers[-1]


def test_every_build_with_an_answered_id_can_be_read(scene: Stage, played: Played) -> None:
    told = {compose_id: answered(scene.pod.client(owner), compose_id) for compose_id, owner in played.promised.items()}
    assert told == dict.fromkeys(played.promised, 200)


def test_every_build_with_an_answered_id_is_listed(scene: Stage, played: Played) -> None:
    for tenant in played.tenants:
        promised = {compose_id for compose_id, owner in played.promised.items() if owner == tenant}
        assert promised <= {each["id"] for each in listed(scene.pod.client(tenant))["data"]}


def test_clients_get_either_201_or_503(played: Played) -> None:
    assert set(played.told) <= {201, 503}


@pytest.fixture(scope="module")
def found(scene: Stage, played: Played) -> Settled:
    """The final state of the round after everything was reconciled."""
    return settled(scene.database, scene.composer, scene.pod, played.tenants)


def test_no_start_remains_unresolved(found: Settled) -> None:
    assert found.starts == 0


def test_every_build_of_this_service_at_the_composer_is_a_row_of_its_organization(found: Settled) -> None:
    assert found.unknown == {}


def test_every_build_has_the_labels_that_it_was_started_with(scene: Stage, found: Settled, played: Played) -> None:
    for tenant in played.tenants:
        labelled = listed(scene.pod.client(tenant), f"?label=owner:{tenant}")["meta"]["count"]
        assert labelled == len(found.rows_of(tenant))


def test_the_quota_counts_as_many_builds_as_there_are_rows(found: Settled, played: Played) -> None:
    assert found.used == {tenant: len(found.rows_of(tenant)) for tenant in played.tenants}


def test_no_build_with_an_answered_id_is_cancelled(found: Settled, played: Played) -> None:
    assert not found.cancelled & set(played.promised)


def test_no_build_of_another_program_is_cancelled(found: Settled, played: Played) -> None:
    assert not found.cancelled & {played.others.recorded, played.others.unknown}


def test_no_build_of_another_program_is_adopted(found: Settled, played: Played) -> None:
    assert played.others.unknown not in found.rows
    assert found.rows[played.others.recorded] == played.others.tenant
