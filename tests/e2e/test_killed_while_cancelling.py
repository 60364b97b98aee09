"""The service is killed at each step of a cancellation: the build is cancelled, or it goes on, and both is shown.

`TEST_SEED` repeats the rounds of a run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.composes import status_of
from tests.support.crashes import Crash, Scene, Start, crashes, scene
from tests.support.databases import Parameters, query
from tests.support.holds import closed_gate, freeze_after_commit, held_up
from tests.support.rounds import SEED, repeated
from tests.support.service import Client
from tests.support.stand_in import Client as ComposerClient
from tests.support.waiting import until

INTENTS = "compose_cancellations"
RESULTS = "compose_results"
BUILDING = {"status": "building"}
SUCCESS = {"status": "success"}
# Seconds for which the composer keeps its answer to a deletion back: longer than it takes to kill the pod.
HELD = 3.0


class Step(StrEnum):
    """The step that the cancellation has reached."""

    LOOKING = "before the composer answers the look"
    DECIDED = "before the intent is recorded"
    RECORDING = "before the intent is committed"
    RECORDED = "after the intent is committed"
    ASKING = "before the composer deletes the build"
    DELETED = "before the composer answers the deletion"
    CONFIRMING = "before the composer confirms the deletion"
    STORING = "before the final status is committed"
    STORED = "after the final status is committed"
    ANSWERED = "as soon as it is answered"
    ANYTIME = "at any moment"


# The intent is committed at these steps.
INTENDED = set(Step) - {Step.LOOKING, Step.DECIDED, Step.RECORDING, Step.ANYTIME}


@pytest.fixture(scope="module")
def stage(
    module_database: Parameters, composer_process: StandInComposer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("scene")
    with scene(module_database, composer_process, [INTENTS, RESULTS], folder) as ready:
        yield ready


def cancel(client: Client, build: str, key: str | None) -> requests.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(f"/composes/{build}/cancel", headers=headers)


def is_cancelled(status: Any) -> bool:
    return status["status"] == "failure" and status["error"]["code"] == "cancelled"


def is_gone(stage: Scene, build: str) -> bool:
    return ComposerClient(stage.composer)("GET", f"/composes/{build}").status_code == 404


def final_status(stage: Scene, build: str) -> list[Any]:
    return query(stage.database, f"SELECT status FROM {RESULTS} WHERE job_id = %s", build)  # noqa: S608


def reach(stage: Scene, crash: Crash[Step], build: str, start: Start, holds: ExitStack) -> None:
    """Start the cancellation, and return when it is at the step of the round; `holds` keep it there."""
    database, pod = stage.database, stage.pod
    match crash.step:
        case Step.LOOKING:
            stage.hang(holds, "GET", start)
        case Step.DECIDED:
            holds.enter_context(held_up(database, f"LOCK TABLE {INTENTS} IN SHARE MODE", start))
        case Step.RECORDING:
            holds.enter_context(held_up(database, closed_gate(INTENTS), start))
        case Step.RECORDED:
            freeze_after_commit(database, pod, INTENTS, start)
        case Step.STORING:
            holds.enter_context(held_up(database, closed_gate(RESULTS), start))
        case Step.STORED:
            freeze_after_commit(database, pod, RESULTS, start)
        case Step.ANSWERED:
            until(start().done, "the cancellation is answered")
        case Step.ANYTIME:
            start()
            time.sleep(crash.delay)
        case _:
            reach_composer(stage, crash, build, start, holds)


def reach_composer(stage: Scene, crash: Crash[Step], build: str, start: Start, holds: ExitStack) -> None:
    """Do the same for the steps between the intent and the final status."""
    if crash.step is Step.ASKING:
        stage.hang(holds, "DELETE", start)
        return
    stage.composer.steer(delete_latency=HELD)
    start()
    until(lambda: is_gone(stage, build), "the composer has deleted the build")
    if crash.step is Step.CONFIRMING:
        stage.hang(holds, "GET")


def check_shown_status(stage: Scene, crash: Crash[Step], client: Client, build: str) -> None:
    """What is shown is true at the composer."""
    if not is_gone(stage, build):
        expected = SUCCESS if crash.finishes else BUILDING
        # A status that is some seconds old may be answered.
        until(lambda: status_of(client, build)["image_status"] == expected, f"the build is shown as {expected}")
        return
    shown = status_of(client, build)["image_status"]
    # A deletion that the composer carries out later than the end of the build takes its image away.
    is_lost = crash.finishes and crash.step is Step.ASKING and shown == SUCCESS
    assert is_cancelled(shown) or is_lost


@pytest.mark.parametrize("crash", crashes(list(Step), repeated(6, 66), int(SEED)), ids=str)
def test_a_crash_leaves_no_build_half_cancelled(stage: Scene, composer: StandInComposer, crash: Crash[Step]) -> None:
    composer.steer(image_status=BUILDING)
    tenant, key = uuid4().hex, uuid4().hex if crash.keyed else None
    build = stage.pod.client(tenant).compose(compose_request())

    def finish() -> None:
        if crash.finishes:
            composer.steer(image_status=SUCCESS)

    answer = stage.play(
        crash,
        partial(cancel, stage.pod.client(tenant), build, key),
        partial(reach, stage, crash, build),
        killed=finish,
    )
    composer.steer(delete_latency=None)
    before = final_status(stage, build)
    client = stage.pod.client(tenant)
    until(lambda: query(stage.database, f"SELECT 1 FROM {INTENTS}") == [], "no intent is left")  # noqa: S608
    check_shown_status(stage, crash, client, build)
    shown = status_of(client, build)["image_status"]
    if crash.step is Step.LOOKING:
        assert not is_cancelled(shown)
    if crash.step in INTENDED and not crash.finishes:
        assert is_cancelled(shown)
    if answer is not None and answer.status_code == 200:
        assert is_cancelled(shown)
    assert client.get("/quota").json()["used"] == 1

    again = cancel_until_decided(client, build, key)
    assert again.status_code == 200 or "has ended with status" in again.text
    check_shown_status(stage, crash, client, build)
    assert again.status_code == 409 or is_cancelled(status_of(client, build)["image_status"])
    assert not before or final_status(stage, build) == before
    assert query(stage.database, f"SELECT 1 FROM {INTENTS}") == []  # noqa: S608
    assert client.get("/quota").json()["used"] == 1


def cancel_until_decided(client: Client, build: str, key: str | None) -> requests.Response:
    """Cancel the build again, until the answer does not depend on the interrupted request any more."""
    answers: list[requests.Response] = []

    def decided() -> bool:
        answers.append(cancel(client, build, key))
        in_progress = answers[-1].status_code == 409 and "Idempotency-Key" in answers[-1].text
        return not in_progress and answers[-1].status_code != 503

    until(decided, "the cancellation is decided")
    return answers[-1]
