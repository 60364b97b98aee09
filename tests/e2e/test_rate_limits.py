"""Requests of an organization are counted by kind, and refused beyond the budget."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import blueprint, kept
from tests.support.builders import compose_request, identity, image_request
from tests.support.databases import Parameters
from tests.support.rate_limits import left, metric, policies
from tests.support.refusals import refusal
from tests.support.service import BASE, Client, Service

pytestmark = pytest.mark.usefixtures("composer")

# Longer than the tests take: nothing leaves it meanwhile.
WINDOW = 3600
READS, WRITES, BUILDS = 6, 4, 2
SETTINGS = {
    "RATE_LIMIT_WINDOW": str(WINDOW),
    "RATE_LIMIT_READS": str(READS),
    "RATE_LIMIT_WRITES": str(WRITES),
    "RATE_LIMIT_BUILDS": str(BUILDS),
}
BASES = (BASE, "/api/image-builder/v1.0", "/api/v1/image-builder")


@pytest.fixture(scope="module")
def service(module_database: Parameters, composer_process: StandInComposer) -> Iterator[Service]:
    with Service(module_database, composer_process.url, environment=SETTINGS) as running:
        yield running


def spent(client: Client) -> Client:
    """A client that has spent its budget of reads."""
    for _ in range(READS):
        assert client.get("/version").status_code == 200
    return client


def test_requests_within_the_budget_pass_and_further_ones_are_refused(client: Client) -> None:
    answers = [client.get("/version") for _ in range(READS + 2)]
    assert [answer.status_code for answer in answers] == [200] * READS + [429] * 2
    assert [left(answer)["reads"]["r"] for answer in answers] == [*reversed(range(READS)), 0, 0]
    assert {policies(answer)["reads"]["q"] for answer in answers} == {READS}


def test_the_workers_of_a_pod_count_together(
    module_database: Parameters, composer_process: StandInComposer, tenant: str
) -> None:
    environment = {**SETTINGS, "RATE_LIMIT_READS": "30"}
    with Service(module_database, composer_process.url, environment=environment, workers=2) as running:
        # A connection of its own for each request: the workers take turns.
        answers = [running.client(tenant).get("/version") for _ in range(40)]
    assert [answer.status_code for answer in answers] == [200] * 30 + [429] * 10
    assert [left(answer)["reads"]["r"] for answer in answers] == [*reversed(range(30)), *[0] * 10]
    assert {policies(answer)["reads"]["q"] for answer in answers} == {30}


def test_a_refusal_names_the_limit_and_the_time_to_retry(client: Client) -> None:
    answer = spent(client).get("/version")
    detail = refusal(answer, 429)
    seconds = int(answer.headers["Retry-After"])
    assert WINDOW - 120 < seconds <= WINDOW
    assert seconds == left(answer)["reads"]["t"]
    assert detail == (
        f"Too many requests: this organization may make {READS} requests in {WINDOW} seconds. "
        f"Try again in {seconds} seconds"
    )


def test_each_kind_of_request_has_a_separate_budget(client: Client) -> None:
    assert left(client.get("/composes")) == {"reads": left(client.get("/composes"))["reads"] | {"r": READS - 1}}
    assert left(client.post("/blueprints", blueprint()))["writes"]["r"] == WRITES - 1
    assert left(client.post("/compose", compose_request()))["build-requests"]["r"] == BUILDS - 1
    assert left(client.post(f"/blueprints/{uuid4()}/compose"))["build-requests"]["r"] == BUILDS - 2


def test_reads_pass_when_the_budget_of_builds_is_spent(client: Client) -> None:
    ids = [client.compose(compose_request()) for _ in range(BUILDS)]
    refusal(client.post("/compose", compose_request()), 429)
    assert client.get(f"/composes/{ids[0]}").status_code == 200


def test_a_refused_request_starts_no_build(client: Client) -> None:
    for _ in range(BUILDS):
        client.compose(compose_request())
    refusal(client.post("/compose", compose_request()), 429)
    assert client.get("/composes").json()["meta"]["count"] == BUILDS


def test_requests_of_another_organization_are_not_counted(service: Service, client: Client, tenant: str) -> None:
    refusal(spent(client).get("/version"), 429)
    assert service.client(f"{tenant}-neighbour").get("/version").status_code == 200


def test_all_base_paths_share_the_budget(client: Client) -> None:
    remaining = [left(client.get("/version", base=base))["reads"]["r"] for base in BASES]
    assert remaining == [READS - 1, READS - 2, READS - 3]


def test_requests_with_errors_are_counted_and_report_the_remaining_budget(client: Client) -> None:
    answers = [
        client.get("/composes?limit=x"),
        client.get(f"/composes/{uuid4()}"),
        client.get("/nowhere"),
        client.get("/compose"),
        client.get("/composes/a%2fb"),
    ]
    assert [answer.status_code for answer in answers] == [400, 404, 404, 405, 404]
    assert [left(answer)["reads"]["r"] for answer in answers] == [5, 4, 3, 2, 1]


def test_the_body_is_not_checked_when_the_budget_is_spent(client: Client) -> None:
    for _ in range(WRITES):
        refusal(client.post("/blueprints", {}), 400)
    refusal(client.post("/blueprints", {}), 429)


def test_unknown_paths_are_refused_too_when_the_budget_is_spent(client: Client) -> None:
    refusal(spent(client).get("/nowhere"), 429)


def test_quota_and_rate_limit_are_reported_in_one_header_field(
    module_database: Parameters, composer: StandInComposer, tenant: str, tmp_path: Path
) -> None:
    quotas = tmp_path / "quotas.json"
    quotas.write_text('{"default": {"quota": 1, "slidingWindow": 3600000000000}}')
    environment = {**SETTINGS, "QUOTA_FILE": str(quotas)}
    with Service(module_database, composer.url, environment=environment) as service:
        client = service.client(tenant)
        answers = [client.post("/compose", compose_request()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 403, 429]
    assert [list(policies(answer)) for answer in answers] == [["builds", "build-requests"]] * 2 + [["build-requests"]]
    assert [{name: item["r"] for name, item in left(answer).items()} for answer in answers[:2]] == [
        {"builds": 0, "build-requests": 1},
        {"builds": 0, "build-requests": 0},
    ]


@pytest.mark.parametrize("header", [None, "nonsense", identity("1", type="Associate")])
def test_requests_without_an_identity_are_not_counted_and_report_no_budget(
    service: Service, header: str | None
) -> None:
    stranger = Client(service.url, {} if header is None else {"x-rh-identity": header})
    for path in ("/version", "/nowhere"):
        for _ in range(READS + 1):
            answer = stranger.get(path)
            assert answer.status_code in {401, 403, 404}
            assert not policies(answer) | left(answer)


@pytest.mark.parametrize("path", ["/status", "/metrics", "/ready", "/openapi.json", "/docs/", f"{BASE}/docs/"])
def test_probes_metrics_and_documents_are_never_refused(client: Client, path: str) -> None:
    spent(client)
    for _ in range(READS + 1):
        answer = client.get(path, base="")
        assert answer.status_code == 200
        assert not policies(answer) | left(answer)


def test_the_openapi_document_is_served_when_the_budget_is_spent(client: Client) -> None:
    assert spent(client).get("/openapi.json").status_code == 200


def test_the_metrics_count_refusals_by_budget(service: Service, client: Client) -> None:
    def refused() -> float:
        return metric(service, 'image_builder_crc_rate_limit_refusals_total{budget="reads"}')

    spent(client)
    before = refused()
    for _ in range(3):
        refusal(client.get("/version"), 429)
    assert refused() == before + 3


def test_exactly_the_budget_of_concurrent_requests_passes(service: Service, tenant: str) -> None:
    with ThreadPoolExecutor(8) as callers:
        statuses = list(callers.map(lambda _: service.client(tenant).get("/version").status_code, range(40)))
    assert sorted(statuses) == [200] * READS + [429] * (40 - READS)


@pytest.fixture
def three_builds(module_database: Parameters, composer: StandInComposer) -> Iterator[Service]:
    with Service(module_database, composer.url, environment={**SETTINGS, "RATE_LIMIT_BUILDS": "3"}) as running:
        yield running


def test_each_image_of_a_blueprint_counts_as_a_build(three_builds: Service, tenant: str) -> None:
    client = three_builds.client(tenant)
    two = kept(client, blueprint("two", image_request(), image_request("wsl")))
    answers = [client.post(f"/blueprints/{two}/compose") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 429]
    assert [left(answer)["build-requests"]["r"] for answer in answers] == [1, 0]
    seconds = int(answers[1].headers["Retry-After"])
    assert WINDOW - 120 < seconds <= WINDOW
    assert refusal(answers[1], 429) == (
        f"Too many images: the request starts 2 builds, and this organization may start 3 in {WINDOW} seconds, "
        f"of which 1 were left. Try again in {seconds} seconds"
    )
    assert client.get("/composes").json()["meta"]["count"] == 2, "nothing was started"


def test_the_error_for_more_images_than_the_budget_suggests_to_select_some(three_builds: Service, tenant: str) -> None:
    client = three_builds.client(tenant)
    images = [image_request(each) for each in ("wsl", "guest-image", "vsphere")]
    many = kept(client, blueprint("many", *images, image_request("gcp", "gcp")))
    detail = refusal(client.post(f"/blueprints/{many}/compose"), 429)
    assert detail.endswith("Choose fewer of them with image_types")
    assert client.post(f"/blueprints/{many}/compose", {"image_types": ["wsl", "gcp"]}).status_code == 201


def test_a_request_repeated_with_its_idempotency_key_counts_no_images(three_builds: Service, tenant: str) -> None:
    client = three_builds.client(tenant)
    two = kept(client, blueprint("two", image_request(), image_request("wsl")))
    key = {"Idempotency-Key": tenant}
    answers = [client.post(f"/blueprints/{two}/compose", {}, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert left(answers[1])["build-requests"]["r"] == 0


def test_with_rate_limits_disabled_requests_are_unlimited_and_report_no_budget(
    module_database: Parameters, composer: StandInComposer
) -> None:
    with Service(module_database, composer.url, environment={**SETTINGS, "RATE_LIMITS": "false"}) as service:
        client = service.client()
        answers = [client.get("/version") for _ in range(READS + 1)]
    assert {answer.status_code for answer in answers} == {200}
    assert not policies(answers[0]) | left(answers[0])
