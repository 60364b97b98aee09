"""What an organization is told of its quota: when it asks, and with every build."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support import rate_limits
from tests.support.blueprints import blueprint, kept
from tests.support.builders import compose_request, image_request
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.rows import insert_compose
from tests.support.service import Client, Service

pytestmark = pytest.mark.usefixtures("composer")

DAYS = 14
WINDOW = DAYS * 24 * 3600
SLACK = 60


@pytest.fixture(scope="module")
def service(
    module_database: Parameters, composer_process: StandInComposer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    quotas = tmp_path_factory.mktemp("quota") / "quotas.json"
    window = WINDOW * 10**9
    document: dict[str, Any] = {"none": {"quota": 0, "slidingWindow": window}}
    document["brief"] = {"quota": 1, "slidingWindow": 1_200_000_000}
    quotas.write_text(json.dumps({**document, "default": {"quota": 3, "slidingWindow": window}}))
    with Service(module_database, composer_process.url, environment={"QUOTA_FILE": str(quotas)}) as running:
        yield running


def told(client: Client) -> dict[str, Any]:
    answer = client.get("/quota")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def left(answer: requests.Response) -> tuple[int, int | None]:
    """How many builds the answer's header says are left, and the seconds until it is one more."""
    builds = rate_limits.left(answer)["builds"]
    return builds["r"], builds.get("t")


def test_nothing_is_used_in_the_beginning(client: Client) -> None:
    assert told(client) == {"unlimited": False, "limit": 3, "used": 0, "remaining": 3, "window": WINDOW}


def test_every_build_tells_what_it_leaves_and_so_does_the_refusal(client: Client) -> None:
    for status, remaining in ((201, 2), (201, 1), (201, 0), (403, 0)):
        answer = client.post("/compose", compose_request())
        assert answer.status_code == status
        assert rate_limits.policies(answer)["builds"] == {"q": 3, "w": WINDOW}
        number, seconds = left(answer)
        assert number == remaining == told(client)["remaining"]
        assert seconds is not None
        assert WINDOW - SLACK < seconds <= WINDOW
    assert refusal(answer, 403) == f"Quota of 3 builds per {DAYS} days exceeded for user"


def test_with_none_left_it_says_when_the_oldest_build_leaves_the_window(
    client: Client, module_database: Parameters, tenant: str
) -> None:
    for days in (13, 2, 1):
        insert_compose(module_database, tenant, ago=timedelta(days=days), deleted=days == 13)
    document = told(client)
    assert (document["used"], document["remaining"]) == (3, 0)
    frees = datetime.fromisoformat(document["next_free_at"])
    assert abs(frees - datetime.now(UTC) - timedelta(days=1)) < timedelta(seconds=SLACK)
    number, seconds = left(client.post("/compose", compose_request()))
    assert number == 0
    assert seconds is not None
    assert abs(seconds - 24 * 3600) < SLACK


def test_who_waits_until_then_can_build(service: Service) -> None:
    client = service.client("brief")
    client.compose(compose_request())
    frees = datetime.fromisoformat(told(client)["next_free_at"])
    time.sleep(max((frees - datetime.now(UTC)).total_seconds(), 0))
    client.compose(compose_request())


def test_builds_of_others_and_old_ones_do_not_count(
    service: Service, client: Client, module_database: Parameters, tenant: str
) -> None:
    service.client("somebody").compose(compose_request())
    insert_compose(module_database, tenant, ago=timedelta(days=DAYS, seconds=5))
    assert told(client)["used"] == 0


def test_where_nothing_may_be_built_no_time_is_told(service: Service) -> None:
    client = service.client("none")
    assert told(client) == {"unlimited": False, "limit": 0, "used": 0, "remaining": 0, "window": WINDOW}
    answer = client.post("/compose", compose_request())
    refusal(answer, 403)
    assert left(answer) == (0, None)


def test_a_blueprint_tells_what_all_its_builds_leave(client: Client) -> None:
    both = kept(client, blueprint("both", image_request(), image_request("gcp", "gcp")))
    assert left(client.post(f"/blueprints/{both}/compose"))[0] == 1
    refused = client.post(f"/blueprints/{both}/compose")
    refusal(refused, 403)
    assert left(refused)[0] == 1


def test_other_refusals_tell_nothing_of_the_quota(client: Client) -> None:
    for request in ({}, compose_request("aws", "azure"), compose_request(distribution="fedora-37")):
        answer = client.post("/compose", request)
        refusal(answer, {400, 403})
        assert "builds" not in rate_limits.policies(answer) | rate_limits.left(answer)


def test_of_simultaneous_builds_each_is_told_another_number(client: Client) -> None:
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: client.post("/compose", compose_request()), range(8)))
    assert sorted(left(answer)[0] for answer in answers if answer.status_code == 201) == [0, 1, 2]
    assert {left(answer)[0] for answer in answers if answer.status_code == 403} == {0}


def test_without_a_quota_file_all_is_unlimited_and_nothing_is_told(
    database: Parameters, composer: StandInComposer
) -> None:
    with Service(database, composer.url) as service:
        client = service.client()
        assert told(client) == {"unlimited": True}
        answer = client.post("/compose", compose_request())
        assert answer.status_code == 201
        assert "builds" not in rate_limits.policies(answer) | rate_limits.left(answer)


def test_without_an_entry_and_without_a_default_it_is_the_operators_mistake(
    database: Parameters, composer: StandInComposer, tmp_path: Any
) -> None:
    quotas = tmp_path / "quotas.json"
    quotas.write_text(json.dumps({"rich": {"quota": 3, "slidingWindow": 10**9}}))
    with Service(database, composer.url, environment={"QUOTA_FILE": str(quotas)}) as service:
        assert refusal(service.client("poor").get("/quota"), 500) == "No quota is defined for this organization"
        assert told(service.client("rich"))["limit"] == 3
