"""Building several images of which the composer refuses some or fails for some."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import blueprint, composed, composes_of, kept
from tests.support.builders import image_request
from tests.support.databases import Parameters
from tests.support.loopback import close
from tests.support.part_way import PartWayComposer, refusal_of
from tests.support.refusals import refusal
from tests.support.rows import counts, insert_compose
from tests.support.service import Client, Service

THREE = blueprint("web", image_request(), image_request("aws", "aws"), image_request("gcp", "gcp"))
WINDOW = 14 * 24 * 3600 * 10**9
FAILED = "Failed posting compose request to osbuild-composer."
OSTREE = refusal_of("10", "no such host")


@pytest.fixture(scope="module")
def part_way() -> Iterator[PartWayComposer]:
    with PartWayComposer() as composer:
        yield composer


@pytest.fixture(scope="module")
def part_way_service(module_database: Parameters, part_way: PartWayComposer) -> Iterator[Service]:
    with Service(module_database, part_way.url) as running:
        yield running


@pytest.fixture
def client(part_way_service: Service, part_way: PartWayComposer, tenant: str) -> Client:
    part_way.instead.clear()
    part_way.accepted.clear()
    return part_way_service.client(tenant)


def compose(client: Client, part_way: PartWayComposer) -> requests.Response:
    blueprint_id = kept(client, THREE)
    answer = client.post(f"/blueprints/{blueprint_id}/compose")
    listed = {item["id"] for item in composes_of(client, blueprint_id)["data"]}
    assert listed == set(part_way.accepted.values()), "what did start is kept"
    return answer


def named(detail: str, part_way: PartWayComposer) -> set[str]:
    """The image types of the builds that a detail names."""
    return {image_type for image_type, compose_id in part_way.accepted.items() if compose_id in detail}


def test_started_builds_are_named_and_recorded_and_other_reservations_are_released(
    client: Client, part_way: PartWayComposer, module_database: Parameters, tenant: str
) -> None:
    part_way.instead["aws"] = OSTREE
    detail = refusal(compose(client, part_way), 400)
    assert detail.startswith("Error resolving OSTree repo")
    assert named(detail, part_way) == {"guest-image", "gcp"}
    assert counts(module_database, tenant) == (2, 0)


def test_the_answer_has_the_first_failure_whichever_image_fails(
    client: Client, part_way: PartWayComposer, module_database: Parameters, tenant: str
) -> None:
    part_way.instead |= {"guest-image": refusal_of("1001", "no worker", 500), "aws": OSTREE}
    detail = refusal(compose(client, part_way), 500)
    assert detail.startswith(f"{FAILED} no worker")
    assert named(detail, part_way) == {"gcp"}
    assert counts(module_database, tenant) == (1, 0)


def test_the_first_failure_decides_the_status(client: Client, part_way: PartWayComposer) -> None:
    part_way.instead |= {"aws": OSTREE, "gcp": refusal_of("1001", "no worker", 500)}
    assert named(refusal(compose(client, part_way), 400), part_way) == {"guest-image"}


def test_builds_with_an_unknown_outcome_keep_counting(
    client: Client, part_way: PartWayComposer, module_database: Parameters, tenant: str
) -> None:
    part_way.instead["gcp"] = close
    answer = compose(client, part_way)
    assert named(refusal(answer, 503), part_way) == {"guest-image", "aws"}
    assert "Retry-After" in answer.headers
    assert counts(module_database, tenant) == (2, 1)


def test_if_no_build_started_no_id_is_named_and_all_reservations_are_released(
    client: Client, part_way: PartWayComposer, module_database: Parameters, tenant: str
) -> None:
    part_way.instead |= dict.fromkeys(("guest-image", "aws", "gcp"), OSTREE)
    assert refusal(compose(client, part_way), 400) == "Error resolving OSTree repo"
    assert counts(module_database, tenant) == (0, 0)


def test_the_composer_refuses_one_of_two_images(service: Service, composer: StandInComposer, tenant: str) -> None:
    client = service.client(tenant)
    unreachable = image_request("edge-commit", ostree={"url": "https://unreachable.invalid/repo", "ref": "a/b"})
    blueprint_id = kept(client, blueprint("web", image_request(), unreachable))
    detail = refusal(client.post(f"/blueprints/{blueprint_id}/compose"), 400)
    (started,) = composes_of(client, blueprint_id)["data"]
    assert started["id"] in detail
    assert client.get(f"/composes/{started['id']}").status_code == 200


# Quota


@pytest.fixture(scope="module")
def quota_service(
    module_database: Parameters, composer_process: StandInComposer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    quotas = tmp_path_factory.mktemp("quota") / "quotas.json"
    quotas.write_text(json.dumps({"default": {"quota": 4, "slidingWindow": WINDOW}}))
    with Service(module_database, composer_process.url, environment={"QUOTA_FILE": str(quotas)}) as running:
        yield running


@pytest.fixture
def limited(quota_service: Service, composer: StandInComposer, tenant: str) -> Client:
    """A client of an organization with a quota of 4 builds."""
    return quota_service.client(tenant)


def test_no_build_is_started_if_the_quota_is_too_small_for_all_images(
    limited: Client, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = kept(limited, THREE)
    for _ in range(2):
        insert_compose(module_database, tenant)
    detail = refusal(limited.post(f"/blueprints/{blueprint_id}/compose"), 403)
    assert detail == "Quota of 4 builds per 14 days exceeded for user"
    assert "POST /compose" not in composer.counters()
    assert counts(module_database, tenant) == (2, 0)
    # Two are left all the same.
    assert len(composed(limited, blueprint_id, "guest-image", "aws")) == 2
    refusal(limited.post(f"/blueprints/{blueprint_id}/compose", {"image_types": ["gcp"]}), 403)


def test_a_request_for_no_image_does_not_check_the_quota(limited: Client) -> None:
    blueprint_id = kept(limited, THREE)
    composed(limited, blueprint_id)
    composed(limited, blueprint_id, "gcp")
    answer = limited.post(f"/blueprints/{blueprint_id}/compose", {"image_types": ["azure"]})
    assert (answer.status_code, answer.json()) == (201, [])


def test_builds_of_a_deleted_blueprint_still_count(limited: Client) -> None:
    blueprint_id = kept(limited, THREE)
    composed(limited, blueprint_id)
    limited.delete(f"/blueprints/{blueprint_id}")
    again = kept(limited, THREE)
    refusal(limited.post(f"/blueprints/{again}/compose"), 403)
    assert len(composed(limited, again, "gcp")) == 1


def test_a_blueprint_is_checked_before_the_quota(limited: Client, tenant: str, module_database: Parameters) -> None:
    for _ in range(4):
        insert_compose(module_database, tenant)
    blueprint_id = kept(limited, blueprint("web", image_request("aws", "azure")))
    refusal(limited.post(f"/blueprints/{blueprint_id}/compose"), 400)
