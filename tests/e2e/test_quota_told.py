"""The usage of the quota in GET /quota, and in the answers to builds."""

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
from tests.support.waiting import STRETCH

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
    document["brief"] = {"quota": 1, "slidingWindow": int(1.2e9 * STRETCH)}
    quotas.write_text(json.dumps({**document, "default": {"quota": 3, "slidingWindow": window}}))
    with Service(module_database, composer_process.url, environment={"QUOTA_FILE": str(quotas)}) as running:
        yield running


def told(client: Client) -> dict[str, Any]:
    answer = client.get("/quota")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def left(answer: requests.Response) -> tuple[int, int | None]:
    """The remaining builds in the answer's header, and the seconds until there is one more."""
    builds = rate_limits.left(answer)["builds"]
    return builds["r"], builds.get("t")


def test_at_first_no_build_is_used(client: Client) -> None:
    assert told(client) == {"unlimited": False, "limit": 3, "used": 0, "remaining": 3, "window": WINDOW}


def test_every_build_and_the_refusal_report_the_remaining_builds(client: Client) -> None:
    for status, remaining in ((201, 2), (201, 1), (201, 0), (403, 0)):
        answer = client.post("/compose", compose_request())
        assert answer.status_code == status
        assert rate_limits.policies(answer)["builds"] == {"q": 3, "w": WINDOW}
        number, seconds = left(answer)
        assert number == remaining == told(client)["remaining"]
        assert seconds is not None
        assert WINDOW - SLACK < seconds <= WINDOW
    assert refusal(answer, 403) == f"Quota of 3 builds per {DAYS} days exceeded for user"


def test_with_no_builds_left_the_answer_has_the_time_of_the_next_free_build(
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


def test_a_caller_who_waits_until_the_next_free_build_can_build(service: Service) -> None:
    client = service.client("brief")
    client.compose(compose_request())
    frees = datetime.fromisoformat(told(client)["next_free_at"])
    time.sleep(max((frees - datetime.now(UTC)).total_seconds(), 0))
    client.compose(compose_request())


def test_builds_of_other_organizations_and_old_builds_do_not_count(
    service: Service, client: Client, module_database: Parameters, tenant: str
) -> None:
    service.client("somebody").compose(compose_request())
    insert_compose(module_database, tenant, ago=timedelta(days=DAYS, seconds=5))
    assert told(client)["used"] == 0


def test_a_quota_of_zero_has_no_time_of_the_next_free_build(service: Service) -> None:
    client = service.client("none")
    assert told(client) == {"unlimited": False, "limit": 0, "used": 0, "remaining": 0, "window": WINDOW}
    answer = client.post("/compose", compose_request())
    refusal(answer, 403)
    assert left(answer) == (0, None)


def test_building_a_blueprint_reports_the_remaining_builds_after_all_images(client: Client) -> None:
    both = kept(client, blueprint("both", image_request(), image_request("gcp", "gcp")))
    assert left(client.post(f"/blueprints/{both}/compose"))[0] == 1
    refused = client.post(f"/blueprints/{both}/compose")
    refusal(refused, 403)
    assert left(refused)[0] == 1


def test_errors_for_other_reasons_do_not_report_the_quota(client: Client) -> None:
    for request in ({}, compose_request("aws", "azure"), compose_request(distribution="fedora-37")):
        answer = client.post("/compose", request)
        refusal(answer, {400, 403})
        assert "builds" not in rate_limits.policies(answer) | rate_limits.left(answer)


def test_concurrent_builds_report_different_remaining_numbers(client: Client) -> None:
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: client.post("/compose", compose_request()), range(8)))
    assert sorted(left(answer)[0] for answer in answers if answer.status_code == 201) == [0, 1, 2]
    assert {left(answer)[0] for answer in answers if answer.status_code == 403} == {0}


def test_without_a_quota_file_builds_are_unlimited_and_no_quota_is_reported(
    database: Parameters, composer: StandInComposer
) -> None:
    with Service(database, composer.url) as service:
        client = service.client()
        assert told(client) == {"unlimited": True}
        answer = client.post("/compose", compose_request())
        assert answer.status_code == 201
        assert "builds" not in rate_limits.policies(answer) | rate_limits.left(answer)


def test_a_missing_entry_without_a_default_is_a_server_error(
    database: Parameters, composer: StandInComposer, tmp_path: Any
) -> None:
    quotas = tmp_path / "quotas.json"
    quotas.write_text(json.dumps({"rich": {"quota": 3, "slidingWindow": 10**9}}))
    with Service(database, composer.url, environment={"QUOTA_FILE": str(quotas)}) as service:
        assert refusal(service.client("poor").get("/quota"), 500) == "No quota is defined for this organization"
        assert told(service.client("rich"))["limit"] == 3
