"""The concurrent answers of four pods to many clients are consistent with counting one build after another."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, cycle
from pathlib import Path
from uuid import uuid4

import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.loopback import Loopback, Visit, answer, close
from tests.support.pods import Pod, pods, quotas
from tests.support.refusals import refusal
from tests.support.rows import counts
from tests.support.service import Client
from tests.support.waiting import PATIENCE, until

LIMIT = 100
PODS = 4
CLIENTS = 32
CALLS = 5
SEED = 7


@dataclass(frozen=True, slots=True)
class Told:
    """An answer to a client, with the times of its request and its arrival."""

    began: float
    ended: float
    answer: requests.Response

    @property
    def remaining(self) -> int:
        """The number of remaining builds in the answer."""
        return int(self.answer.headers["RateLimit"].partition("r=")[2].partition(";")[0])

    @property
    def id(self) -> str:
        """The id of the build."""
        return str(self.answer.json()["id"])


def history(running: list[Pod], tenant: str, ask: Callable[[Client], Told], calls: int = CALLS) -> list[Told]:
    """The answers to all clients of the organization; each asks randomly chosen pods one after another."""

    def client(number: int) -> list[Told]:
        chance = random.Random(f"{SEED}/{number}")  # noqa: S311 - a test's
        asking = [pod.client(tenant) for pod in running]
        return [ask(chance.choice(asking)) for _ in range(calls)]

    with ThreadPoolExecutor(CLIENTS) as threads:
        return list(chain.from_iterable(threads.map(client, range(CLIENTS))))


def told(client: Client) -> Told:
    """The answer to a client that requests a build."""
    began = time.monotonic()
    said = client.post("/compose", compose_request())
    return Told(began, time.monotonic(), said)


def told_in_the_end(client: Client) -> Told:
    """The same; repeated as long as the service is busy, in which case it starts no build."""
    deadline = time.monotonic() + PATIENCE
    while (last := told(client)).answer.status_code == 503 and time.monotonic() < deadline:
        pass
    return last


def of_status(answers: list[Told], status: int) -> list[Told]:
    return [each for each in answers if each.answer.status_code == status]


def statuses(answers: list[Told]) -> Counter[int]:
    return Counter(each.answer.status_code for each in answers)


def used(pod: Pod, tenant: str) -> tuple[int, int]:
    document = pod.client(tenant).get("/quota").json()
    return document["used"], document["remaining"]


def test_four_pods_and_thirty_two_clients_start_exactly_as_many_builds_as_the_quota_allows(
    database: Parameters, composer: StandInComposer, tmp_path: Path
) -> None:
    tenant = uuid4().hex
    with pods(PODS, database, composer.url, quotas(tmp_path, LIMIT)) as running:
        answers = history(running, tenant, told_in_the_end)
        assert statuses(answers) == {201: LIMIT, 403: CLIENTS * CALLS - LIMIT}
        assert {used(pod, tenant) for pod in running} == {(LIMIT, 0)}
    accepted, refused = of_status(answers, 201), of_status(answers, 403)
    assert {refusal(each.answer, 403) for each in refused} == {f"Quota of {LIMIT} builds per 1 days exceeded for user"}
    assert counts(database, tenant) == (LIMIT, 0)
    assert composer.behaviour()["composes"] == composer.counters()["POST /compose"] == LIMIT
    assert len({each.id for each in accepted}) == LIMIT
    in_order(accepted, refused)


def in_order(accepted: list[Told], refused: list[Told]) -> None:
    """There must be a sequential order of the builds that explains all answers and their times."""
    one_by_one = sorted(accepted, key=lambda each: -each.remaining)
    assert [each.remaining for each in one_by_one] == list(reversed(range(LIMIT)))
    latest = 0.0
    for each in one_by_one:
        assert each.ended > latest, f"{each.remaining} were left to somebody before more were left to another"
        latest = max(latest, each.began)
    first_refusal = min(each.ended for each in refused)
    assert not [each for each in accepted if each.began > first_refusal], "a build was started after a refusal"
    assert {each.remaining for each in refused} == {0}


class Moody:
    """A composer that randomly builds, refuses, fails or closes the connection, until it is `calm`."""

    def __init__(self) -> None:
        self.built: set[str] = set()
        self.unknown = 0
        self.calm = False
        self._chance = random.Random(SEED)  # noqa: S311 - a test's
        self._lock = threading.Lock()

    def __call__(self, visit: Visit) -> bool:
        with self._lock:
            after = self._chance.uniform(0, 0.05)
            drawn = 0.0 if self.calm else self._chance.random()
            if drawn < 0.6:
                compose_id = str(uuid4())
                self.built.add(compose_id)
                step = answer(201, {"id": compose_id, "kind": "ComposeId", "href": "/"}, after=after)
            elif drawn < 0.8:
                step = answer(400, {"id": "7", "kind": "Error", "href": "/", "reason": "no"}, after=after)
            else:
                # Whether it builds after these nobody can know.
                self.unknown += 1
                step = close if drawn < 0.9 else answer(502, b"Bad gateway", "text/html", after=after)
        return step(visit)


def test_refusals_and_failures_of_the_composer_leave_the_count_exact(database: Parameters, tmp_path: Path) -> None:
    tenant, moody = uuid4().hex, Moody()
    with (
        Loopback(moody) as composer,
        pods(PODS, database, composer.url, quotas(tmp_path, LIMIT)) as running,
    ):
        answers = history(running, tenant, told, calls=3)
        moody.calm = True
        answers += until_refused(running, tenant)
        assert {used(pod, tenant) for pod in running} == {(LIMIT, 0)}
    started = {each.id for each in of_status(answers, 201)}
    assert started == moody.built
    assert counts(database, tenant) == (len(started), moody.unknown)
    assert len(started) + moody.unknown == LIMIT


def until_refused(running: list[Pod], tenant: str) -> list[Told]:
    """The answers to one client until the quota was used up."""
    clients = cycle([pod.client(tenant) for pod in running])
    answers: list[Told] = []

    def refused() -> bool:
        answers.append(told(next(clients)))
        return bool(of_status(answers[-1:], 403))

    until(refused, "the quota is used up")
    return answers
