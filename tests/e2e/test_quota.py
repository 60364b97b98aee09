"""The quota of builds, over several processes of the running service."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.rows import counts, insert_compose
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE

DAYS = 14
WINDOW = DAYS * 24 * 3600 * 10**9
AT_ONCE = 40


def entry(quota: int, window: int = WINDOW) -> dict[str, int]:
    return {"quota": quota, "slidingWindow": window}


def exceeded(quota: int, days: int = DAYS) -> str:
    return f"Quota of {quota} builds per {days} days exceeded for user"


@pytest.fixture(scope="module")
def quota_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quota") / "quotas.json"
    organizations: dict[str, Any] = {f"quota-{number}": entry(number) for number in range(8)}
    path.write_text(json.dumps({**organizations, "hours": entry(0, WINDOW // DAYS * 5 // 2)}))
    return path


@pytest.fixture(scope="module")
def service(module_database: Parameters, composer_process: StandInComposer, quota_file: Path) -> Any:  # generator
    with Service(module_database, composer_process.url, environment={"QUOTA_FILE": str(quota_file)}) as running:
        yield running


def serve(database: Parameters, composer: str, quotas: Path, **options: Any) -> Service:
    return Service(database, composer, environment={"QUOTA_FILE": str(quotas)}, **options)


def written(folder: Path, document: Any) -> Path:
    path = folder / "quotas.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.1)


def statuses(answers: list[requests.Response]) -> dict[int, int]:
    found = [answer.status_code for answer in answers]
    return {status: found.count(status) for status in set(found)}


def test_with_k_builds_left_concurrent_requests_over_several_processes_start_exactly_k(
    database: Parameters, composer: StandInComposer, tmp_path: Path
) -> None:
    limit, there_already, tenant = 7, 2, "crowd"
    for deleted in (False, True):
        insert_compose(database, tenant, deleted=deleted)
    composer.steer(post_latency=0.3)
    quotas = written(tmp_path, {tenant: entry(limit), "default": entry(1)})
    gate = threading.Barrier(AT_ONCE)

    def caller(service: Service) -> requests.Response:
        client = service.client(tenant)
        gate.wait()
        # On a busy machine some wait too long in line for the quota, and are told to try again.
        while (answer := client.post("/compose", compose_request())).status_code == 503:
            assert answer.headers["retry-after"]
        return answer

    with (
        serve(database, composer.url, quotas) as one,
        serve(database, composer.url, quotas, workers=2) as two,
        ThreadPoolExecutor(AT_ONCE) as callers,
    ):
        answers = list(callers.map(caller, [one, two] * (AT_ONCE // 2)))
    assert statuses(answers) == {201: limit - there_already, 403: AT_ONCE - limit + there_already}
    assert {refusal(answer, 403) for answer in answers if answer.status_code == 403} == {exceeded(limit)}
    assert composer.counters()["POST /compose"] == limit - there_already
    assert counts(database, tenant) == (limit, 0)


def test_the_composer_is_not_called_when_the_quota_is_used_up(service: Service, composer: StandInComposer) -> None:
    answer = service.client("quota-0").post("/compose", compose_request())
    assert refusal(answer, 403) == exceeded(0)
    assert "POST /compose" not in composer.counters()


def test_the_error_gives_the_window_in_whole_days(service: Service, composer: StandInComposer) -> None:
    answer = service.client("hours").post("/compose", compose_request())
    assert refusal(answer, 403) == exceeded(0, days=2)


def test_a_deleted_build_still_counts(service: Service, composer: StandInComposer) -> None:
    client = service.client("quota-1")
    client.delete(f"/composes/{client.compose(compose_request())}")
    assert refusal(client.post("/compose", compose_request()), 403) == exceeded(1)


def test_an_invalid_request_is_refused_before_the_quota_is_checked(service: Service, composer: StandInComposer) -> None:
    client = service.client("quota-0")
    refusal(client.post("/compose", {}), 400)
    refusal(client.post("/compose", compose_request("aws", "azure")), 400)
    refusal(client.post("/compose", compose_request(distribution="fedora-37")), 403)


def test_an_invalid_request_does_not_use_the_quota(service: Service, composer: StandInComposer) -> None:
    client = service.client("quota-2")
    for _ in range(3):
        refusal(client.post("/compose", compose_request("aws", "azure")), 400)
    client.compose(compose_request())
    client.compose(compose_request())


def test_the_reservation_of_a_build_that_the_composer_refused_is_released(
    service: Service, composer: StandInComposer, module_database: Parameters
) -> None:
    client = service.client("quota-3")
    composer.steer(post_error={"status": 400, "id": "24", "reason": "no"})
    for _ in range(5):
        refusal(client.post("/compose", compose_request()), 400)
    assert counts(module_database, "quota-3") == (0, 0)
    composer.reset()
    for _ in range(3):
        client.compose(compose_request())
    assert refusal(client.post("/compose", compose_request()), 403) == exceeded(3)


@pytest.mark.parametrize(
    ("tenant", "behaviour", "status"),
    [
        ("quota-4", {"post_drop": "after"}, 503),
        ("quota-5", {"post_drop": "before"}, 503),
        ("quota-6", {"post_raw": {"status": 502, "body": "<h1>Bad gateway</h1>"}}, 500),
    ],
)
def test_a_start_with_an_unknown_outcome_stays_counted(
    service: Service,
    composer: StandInComposer,
    module_database: Parameters,
    tenant: str,
    behaviour: dict[str, Any],
    status: int,
) -> None:
    client, limit = service.client(tenant), int(tenant[-1])
    composer.steer(**behaviour)
    answer = client.post("/compose", compose_request())
    refusal(answer, status)
    assert ("Retry-After" in answer.headers) == (status == 503)
    composer.reset()
    assert sum(counts(module_database, tenant)) == 1
    for _ in range(limit - 1):
        client.compose(compose_request())
    assert refusal(client.post("/compose", compose_request()), 403) == exceeded(limit)


def test_an_organization_without_an_entry_and_a_default_cannot_build(
    service: Service, composer: StandInComposer
) -> None:
    refusal(service.client(uuid4().hex).post("/compose", compose_request()), 500)
    assert "POST /compose" not in composer.counters()
    assert service.client(uuid4().hex).get("/composes").status_code == 200


def test_the_default_applies_to_organizations_without_an_entry(
    database: Parameters, composer: StandInComposer, tmp_path: Path
) -> None:
    quotas = written(tmp_path, {"rich": entry(3), "default": entry(1)})
    with serve(database, composer.url, quotas) as service:
        for tenant, limit in (("rich", 3), ("somebody", 1), ("somebody-else", 1)):
            client = service.client(tenant)
            for _ in range(limit):
                client.compose(compose_request())
            assert refusal(client.post("/compose", compose_request()), 403) == exceeded(limit)


def test_a_valid_change_of_the_file_is_used_and_an_invalid_one_is_not(
    database: Parameters, composer: StandInComposer, tmp_path: Path
) -> None:
    def refused(client: Client, limit: int) -> bool:
        answer = client.post("/compose", compose_request())
        return answer.status_code == 403 and answer.json()["errors"][0]["detail"] == exceeded(limit)

    log = tmp_path / "log"
    quotas = written(tmp_path, {"default": entry(0)})
    with serve(database, composer.url, quotas, log=log) as service:
        client = service.client("changing")
        assert refused(client, 0)
        written(tmp_path, {"default": entry(1)})
        eventually(lambda: client.post("/compose", compose_request()).status_code == 201)
        assert refused(client, 1)
        written(tmp_path, '{"default": {"quota": "a lot"')
        time.sleep(2.2)
        assert refused(client, 1)
        assert "invalid quota file" in log.read_text()
        elsewhere = tmp_path / "another.json"
        elsewhere.write_text(json.dumps({"default": entry(2)}))
        elsewhere.replace(quotas)  # as a config map changes
        eventually(lambda: client.post("/compose", compose_request()).status_code == 201)
        assert refused(client, 2)


def test_an_empty_quota_file_setting_means_no_quota(database: Parameters, composer: StandInComposer) -> None:
    with Service(database, composer.url, environment={"QUOTA_FILE": ""}) as service:
        for _ in range(10):
            service.client("free").compose(compose_request())


BROKEN: list[tuple[Any, str]] = [
    ("{", "JSON"),
    ({"org-1": {"quota": "1", "slidingWindow": 1}}, "org-1"),
]


@pytest.mark.parametrize(("document", "named"), BROKEN, ids=range(len(BROKEN)))
def test_a_broken_quota_file_stops_the_start_naming_file_and_entry(
    database: Parameters, tmp_path: Path, document: Any, named: str
) -> None:
    quotas = written(tmp_path, document)
    status, output = serve(database, "http://127.0.0.1:1", quotas).refusal_to_start()
    assert status != 0
    assert str(quotas) in output
    assert named in output
    assert "Traceback" not in output


def test_a_missing_quota_file_stops_the_start(database: Parameters, tmp_path: Path) -> None:
    status, output = serve(database, "http://127.0.0.1:1", tmp_path / "nowhere.json", workers=2).refusal_to_start()
    assert status != 0
    assert "QUOTA_FILE: no file that can be read" in output
    assert "Traceback" not in output
