"""Lost starts are reconciled even if the composer is slow, or cannot return the request of one of its builds."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.loopback import Loopback, Visit, answer, hang
from tests.support.losing import killed_when, killed_while_the_composer_builds
from tests.support.pods import RECONCILING, Pod, pods, quotas
from tests.support.rows import counts
from tests.support.waiting import until

FIRST = "00000000-0000-4000-8000-000000000000"
LAST = "ffffffff-ffff-4fff-bfff-ffffffffffff"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**RECONCILING, **quotas(tmp_path, 100)}


def test_a_slow_composer_does_not_prevent_the_reconciliation(
    database: Parameters, composer: StandInComposer, environment: dict[str, str], tenant: str
) -> None:
    with Pod(database, composer.url, environment) as pod:
        call = pod.client(tenant).post
        killed_while_the_composer_builds(pod, composer, [lambda: call("/compose", compose_request())], 1)
    composer.steer(latency=0.6)
    with pods(4, database, composer.url, environment):
        until(lambda: counts(database, tenant) == (1, 0), "the build is adopted")


class Odd:
    """A composer with a build whose request it cannot return; while it is `held`, accepted builds get no answer."""

    def __init__(self, unsayable: str) -> None:
        self.builds: dict[str, bytes] = {}
        self.unsayable = unsayable
        self.held = Event()

    def __call__(self, visit: Visit) -> bool:
        asked = visit.asked
        path = asked.path.partition("/api/image-builder-composer/v2")[2]
        if asked.method == "POST" and path == "/compose":
            compose_id = str(uuid4())
            self.builds[compose_id] = asked.body
            return hang(visit) if self.held.is_set() else answer(201, {"id": compose_id})(visit)
        if path.rstrip("/") == "/composes":
            items = [
                {"id": each, "kind": "ComposeStatus", "href": "/", "status": "pending", "image_status": {}}
                for each in (self.unsayable, *self.builds)
            ]
            listed = {"kind": "ComposeList", "page": 0, "size": len(items), "total": len(items), "items": items}
            return answer(200, listed)(visit)
        compose_id = path.split("/")[2] if path.startswith("/composes/") else ""
        if path.endswith("/metadata") and compose_id in self.builds:
            return answer(200, {"id": compose_id, "request": json.loads(self.builds[compose_id])})(visit)
        return answer(500, {"id": "1000", "kind": "Error", "href": "/", "reason": "no"})(visit)


@pytest.mark.parametrize("unsayable", [FIRST, LAST])
def test_a_build_without_a_known_request_does_not_prevent_the_adoption_of_others(
    database: Parameters, environment: dict[str, str], tenant: str, unsayable: str
) -> None:
    odd = Odd(unsayable)
    odd.held.set()
    with Loopback(odd) as composer:
        with Pod(database, composer.url, environment) as pod:
            call = pod.client(tenant).post
            killed_when(pod, [lambda: call("/compose", compose_request())], lambda: len(odd.builds) == 1)
        with Pod(database, composer.url, environment):
            until(lambda: counts(database, tenant) == (1, 0), "the build is adopted")
