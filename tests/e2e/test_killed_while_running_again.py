"""The service is killed at each step of a re-run: it starts one build or none, and no build is unknown to the service.

`TEST_SEED` repeats the rounds of a run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.composes import listed, status_of
from tests.support.crashes import Crash, Scene, Start, crashes, scene
from tests.support.cuts import Step
from tests.support.databases import Parameters
from tests.support.holds import closed_gate, freeze_after_commit, held_up
from tests.support.rounds import SEED, repeated
from tests.support.rows import counts
from tests.support.service import Client
from tests.support.stand_in import Client as ComposerClient
from tests.support.waiting import until

# Seconds for which the composer keeps its answer back: longer than it takes to kill the pod.
HELD = 3.0


@pytest.fixture(scope="module")
def stage(
    module_database: Parameters, composer_process: StandInComposer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    with scene(module_database, composer_process, ["composes"], tmp_path_factory.mktemp("scene")) as ready:
        yield ready


def rerun(client: Client, build: str, key: str | None) -> requests.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(f"/composes/{build}/rerun", {}, headers=headers)


def builds_at_composer(composer: StandInComposer) -> set[str]:
    return {item["id"] for item in ComposerClient(composer)("GET", "/composes/").json()["items"]}


def reach(stage: Scene, crash: Crash[Step], start: Start, holds: ExitStack) -> None:
    """Start the re-run, and return when it is at the step of the round; `holds` keep it there."""
    match crash.step:
        case Step.RESERVING:
            holds.enter_context(held_up(stage.database, "LOCK TABLE compose_starts IN SHARE MODE", start))
        case Step.ASKING:
            stage.hang(holds, "POST", start)
        case Step.BUILDING:
            stage.composer.steer(post_latency=HELD)
            start()
            until(lambda: stage.composer.behaviour()["composes"] == 2, "the composer has accepted the build")
        case Step.RECORDING:
            holds.enter_context(held_up(stage.database, closed_gate("composes"), start))
        case Step.COMMITTED:
            freeze_after_commit(stage.database, stage.pod, "composes", start)
        case Step.ANSWERED:
            until(start().done, "the re-run is answered")
        case Step.ANYTIME:
            start()
            time.sleep(crash.delay)


@pytest.mark.parametrize("crash", crashes(list(Step), repeated(4, 42), int(SEED)), ids=str)
def test_a_crash_leaves_one_repeated_build_or_none(stage: Scene, composer: StandInComposer, crash: Crash[Step]) -> None:
    tenant, key = uuid4().hex, uuid4().hex if crash.keyed else None
    build = stage.pod.client(tenant).compose(compose_request(customizations={"hostname": "mine.example"}))
    answer = stage.play(crash, partial(rerun, stage.pod.client(tenant), build, key), partial(reach, stage, crash))
    composer.steer(post_latency=None)
    client = stage.pod.client(tenant)

    until(lambda: counts(stage.database, tenant)[1] == 0, "no start remains")
    if key is not None:
        assert repeat_until_started(client, build, key) in builds_at_composer(composer)
    shown = {item["id"] for item in listed(client)["data"]}
    assert shown == builds_at_composer(composer)
    repeated_builds = shown - {build}
    assert len(repeated_builds) == 1 if key is not None else len(repeated_builds) <= 1
    if answer is not None and answer.status_code == 201:
        assert repeated_builds == {answer.json()["id"]}
    if crash.step in {Step.BUILDING, Step.COMMITTED, Step.ANSWERED}:
        assert len(repeated_builds) == 1
    for each in repeated_builds:
        found = status_of(client, each)
        assert (found["rerun_of"], found["created_by"]) == (build, "u")
        assert found["request"] == status_of(client, build)["request"]
    assert client.get("/quota").json()["used"] == len(shown)


def repeat_until_started(client: Client, build: str, key: str) -> str:
    """Repeat the re-run with its Idempotency-Key until it has succeeded, and return the id of the build."""
    answers: list[requests.Response] = []

    def started() -> bool:
        answers.append(rerun(client, build, key))
        assert answers[-1].status_code in {201, 409, 503}, answers[-1].text
        return answers[-1].status_code == 201

    until(started, "the build is started")
    started_id: str = answers[-1].json()["id"]
    return started_id
