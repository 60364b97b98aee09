"""Back-ends send huge, deeply nested or unusual JSON: callers get answers of the contract, and the service survives."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from psycopg.types.json import Jsonb

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform import sample_data
from adapters.embedded.platform.process import StandInPlatform
from tests.support.blueprints import blueprint, kept
from tests.support.builders import compose_request, image_request
from tests.support.composes import status_of
from tests.support.databases import Parameters, session
from tests.support.loopback import answer
from tests.support.part_way import PartWayComposer
from tests.support.refusals import refusal
from tests.support.rows import counts, insert_compose
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE

JSON = "application/json"
STATUS, METADATA = "GET /composes/{id}", "GET /composes/{id}/metadata"
PACKAGE = {"type": "rpm", "name": "vim", "version": "9", "release": "1", "arch": "x86_64", "sigmd5": "m" * 32}
MIB = 1024 * 1024


@pytest.fixture
def build(client: Client) -> str:
    return client.compose(compose_request())


def deep(levels: int, inner: str = "1") -> str:
    return "[" * levels + inner + "]" * levels


def told(body: str | bytes, status: int = 200) -> dict[str, Any]:
    return {
        "status": status,
        "body": body.decode() if isinstance(body, bytes) else body,
        "content_type": JSON,
    }


def failed(details: str, reason: str = "no space left", error_id: int = 21) -> str:
    """A status of the composer with an error with these details, JSON text."""
    error = f'{{"id": {error_id}, "reason": {json.dumps(reason)}, "details": {details}}}'
    return f'{{"status": "failure", "image_status": {{"status": "failure", "error": {error}}}}}'


def memory(service: Service) -> int:
    """The peak of the service's memory in bytes."""
    assert service.process is not None
    (line,) = (
        line for line in Path(f"/proc/{service.process.pid}/status").read_text().splitlines() if line[:5] == "VmHWM"
    )
    return int(line.split()[1]) * 1024


@pytest.fixture
def lean(service: Service) -> Iterator[None]:
    """The service may grow by a fraction of the size of the received data only."""
    before = memory(service)
    yield
    assert memory(service) - before < 200 * MIB


# The composer's status


@pytest.mark.parametrize("levels", [1, 50, 64])
def test_error_details_of_moderate_nesting_are_answered(
    client: Client, composer: StandInComposer, build: str, levels: int
) -> None:
    composer.steer(raw={STATUS: told(failed(deep(levels)))})
    for _ in range(2):
        assert json.dumps(status_of(client, build)["image_status"]["error"]["details"]) == deep(levels)


@pytest.mark.parametrize("levels", [65, 90, 99, 150, 250, 251, 252, 253, 254, 255, 256, 500, 1_000, 1_025, 100_000])
@pytest.mark.parametrize("error_id", [5, 21])
def test_deeply_nested_error_details_are_omitted_or_no_usable_answer(
    client: Client, composer: StandInComposer, build: str, levels: int, error_id: int
) -> None:
    composer.steer(raw={STATUS: told(failed(deep(levels), error_id=error_id))})
    for _ in range(2):  # the second time from storage, maybe
        found = client.get(f"/composes/{build}")
        if found.status_code == 200:
            assert "left out" in found.json()["image_status"]["error"]["details"]
        else:
            assert "composer" in refusal(found, 503)


@pytest.mark.parametrize("levels", [20, 84, 124, 250, 1_000])
def test_endlessly_nested_errors_are_answered_or_no_usable_answer(
    client: Client, composer: StandInComposer, build: str, levels: int
) -> None:
    details = '[{"id":5,"reason":"wrapper","details":' * levels + '{"id":21,"reason":"full"}' + "}]" * levels
    composer.steer(raw={STATUS: told(failed(details, error_id=5))})
    found = client.get(f"/composes/{build}")
    if found.status_code == 200:
        assert found.json()["image_status"]["error"].items() >= {"id": 21, "reason": "full"}.items()
    else:
        refusal(found, 503)


def test_an_error_stored_before_the_limit_existed_is_answered(
    client: Client, tenant: str, module_database: Parameters
) -> None:
    compose_id = insert_compose(module_database, tenant)
    status = orjson.loads(f'{{"status": "failure", "error": {{"id": 21, "reason": "r", "details": {deep(251)}}}}}')
    with session(module_database) as connection:
        connection.execute(
            "INSERT INTO compose_results (job_id, status) VALUES (%s, %s)",
            (compose_id, Jsonb(status, dumps=orjson.dumps)),
        )
    assert "left out" in status_of(client, str(compose_id))["image_status"]["error"]["details"]


@pytest.mark.usefixtures("lean")
def test_an_error_of_several_megabytes_is_shortened(client: Client, composer: StandInComposer, build: str) -> None:
    composer.steer(raw={STATUS: told(failed(json.dumps("d" * 2 * MIB), "r" * MIB))})
    found = client.get(f"/composes/{build}")
    error = found.json()["image_status"]["error"]
    assert (error["reason"][:3], error["details"][:3]) == ("rrr", "ddd")
    assert len(found.content) < 200_000


@pytest.mark.usefixtures("lean")
@pytest.mark.parametrize(
    "status",
    [
        failed("1", "r" * 30_000_000),
        failed(f"[{'[],' * 10_000_000}[]]"),
        failed(f"[{'{},' * 1_000_000}[]]"),
        f'{{"image_status": {{"status": "x", "upload_statuses": [{"1," * 1_000_000}1]}}}}',
        f'{{"image_status": {{"status": "{"s" * 1_000_000}"}}}}',
    ],
    ids=["reason", "details", "objects", "uploads", "status"],
)
def test_a_huge_status_is_no_usable_answer(client: Client, composer: StandInComposer, build: str, status: str) -> None:
    composer.steer(raw={STATUS: told(status)})
    began = time.monotonic()
    found = client.get(f"/composes/{build}")
    assert time.monotonic() - began < PATIENCE
    if found.status_code == 200:
        assert len(found.content) < 200_000
    else:
        assert "composer" in refusal(found, 503)


def test_a_build_with_huge_errors_does_not_open_the_circuit_breaker(
    client: Client, composer: StandInComposer, build: str
) -> None:
    composer.steer(raw={STATUS: told(failed("1", "r" * 5_000_000))})
    for _ in range(8):
        refusal(client.get(f"/composes/{build}"), 503)
    composer.steer(raw=None)
    assert status_of(client, client.compose(compose_request()))["image_status"]["status"]


# What else the composer says


@pytest.mark.usefixtures("lean")
@pytest.mark.parametrize(("number", "status"), [(10_000, 200), (1_000_000, 503)])
def test_metadata_of_many_packages_is_answered_and_of_a_million_is_no_usable_answer(
    client: Client, composer: StandInComposer, build: str, number: int, status: int
) -> None:
    package = json.dumps(PACKAGE if status == 200 else {**PACKAGE, "sigmd5": ""}, separators=(",", ":"))
    composer.steer(raw={METADATA: told(f'{{"packages": [{",".join([package] * number)}]}}')})
    began = time.monotonic()
    found = client.get(f"/composes/{build}/metadata")
    assert time.monotonic() - began < PATIENCE
    assert found.status_code == status
    if status == 200:
        assert len(found.json()["packages"]) == number


@pytest.mark.parametrize("levels", [150, 254, 1_000])
def test_deeply_nested_metadata_and_descriptions_are_no_usable_answer(
    client: Client, composer: StandInComposer, build: str, levels: int
) -> None:
    described = f'{{"name": "d", "architectures": {{"x86_64": {{"a": {deep(levels)}}}}}, "more": {deep(levels)}}}'
    composer.steer(
        raw={
            METADATA: told(f'{{"packages": {deep(levels)}}}'),
            "GET /distributions/{distribution}": told(described),
        }
    )
    refusal(client.get(f"/composes/{build}/metadata"), 503)
    refusal(client.get("/distributions/centos-9"), 503)


@pytest.mark.usefixtures("lean")
@pytest.mark.parametrize(
    "found",
    [deep(500), f"[{'1,' * 4_000_000}1]", "[" + '{"name":"a"},' * 2_000_000 + "{}]"],
    ids=["deep", "1", "names"],
)
def test_an_invalid_search_result_is_no_usable_answer(client: Client, composer: StandInComposer, found: str) -> None:
    composer.steer(raw={"POST /search/packages": told(f'{{"packages": {found}}}')})
    refusal(client.get("/packages?distribution=centos-9&architecture=x86_64&search=vim"), 503)


@pytest.mark.parametrize(
    "details", [deep(90), deep(254), deep(1_000), '"' + "d" * 900_000 + '"', f"[{'1,' * 100_000}1]"], ids=len
)
@pytest.mark.parametrize(("error_id", "status"), [("24", 400), ("30", 400), ("1000", 500)])
def test_a_refusal_with_endless_details_is_shortened(
    client: Client,
    composer: StandInComposer,
    tenant: str,
    module_database: Parameters,
    details: str,
    error_id: str,
    status: int,
) -> None:
    body = f'{{"kind": "Error", "id": "{error_id}", "reason": "no\\u0000", "details": {details}}}'
    composer.steer(post_raw=told(body, 400))
    found = client.post("/compose", compose_request(), headers={"Idempotency-Key": uuid4().hex})
    refusal(found, {status, 500})
    assert len(found.content) < 20_000
    assert counts(module_database, tenant) == (0, 0)


def test_a_reason_that_the_database_cannot_store_is_answered_repeatedly(
    module_database: Parameters, tenant: str
) -> None:
    with PartWayComposer() as composer, Service(module_database, composer.url) as service:
        client = service.client(tenant)
        blueprint_id = kept(client, blueprint("web", image_request(), image_request("aws", "aws")))
        composer.instead["aws"] = answer(400, {"id": "24", "reason": "a NUL: \0", "kind": "Error"})
        ordered = partial(client.post, f"/blueprints/{blueprint_id}/compose", None, headers={"Idempotency-Key": "k"})
        assert "a NUL" in refusal(ordered(), 400)
        assert "a NUL" in refusal(ordered(), 400)
        assert counts(module_database, tenant) == (1, 0)


# The platform


@pytest.fixture
def customer(platform_service: Service, composer: StandInComposer, platform: StandInPlatform, tenant: str) -> Client:
    return platform_service.client(tenant)


@pytest.mark.parametrize("body", [deep(200), deep(1_000), "[" + "[]," * 2_000_000 + "[]]"], ids=["200", "1000", "wide"])
def test_an_invalid_export_of_repositories_is_no_usable_answer(
    customer: Client, platform: StandInPlatform, body: str
) -> None:
    custom = {"id": sample_data.COMMUNITY, "baseurl": ["https://h/a"]}
    blueprint_id = kept(customer, blueprint("web", customizations={"custom_repositories": [custom]}))
    platform.steer(content_sources={"raw": told(body)})
    refusal(customer.get(f"/blueprints/{blueprint_id}/export"), 503)


@pytest.mark.parametrize(
    "toml",
    [
        'name = "a\\u0000"\n[[packages]]\nname = "b\\u0000"',
        "a = " + deep(10_000),
        "\n".join(f'[[packages]]\nname = "p{number}"' for number in range(50_000)),
        "[customizations.kernel]\nappend = " + "9" * 100_000,
    ],
    ids=["NUL", "deep", "large", "number"],
)
def test_an_invalid_blueprint_of_a_policy_is_no_usable_answer(
    customer: Client, platform: StandInPlatform, toml: str
) -> None:
    platform.steer(
        compliance={
            "raw": {"status": 200, "body": toml, "content_type": "application/toml"},
            "only": ["GET /policies/{id}/tailorings/{minor}/tailoring_file.toml"],
        }
    )
    document = blueprint(
        "web", distribution="rhel-9.6", customizations={"openscap": {"policy_id": sample_data.POLICY_RHEL9}}
    )
    refusal(customer.post("/blueprints", document), 503)
    refusal(customer.get(f"/oscap/{sample_data.POLICY_RHEL9}/rhel-9.6/policy_customizations"), 503)


@pytest.mark.parametrize("body", ['{"packages": ' + deep(500) + "}", '{"packages": [' + "1," * 200_000 + "1]}"])
def test_invalid_recommendations_are_no_usable_answer(customer: Client, platform: StandInPlatform, body: str) -> None:
    platform.steer(recommendations={"raw": told(body)})
    asked = {"packages": ["vim"], "recommendedPackages": 3, "distribution": "rhel9"}
    refusal(customer.post("/experimental/recommendations", asked), 503)
