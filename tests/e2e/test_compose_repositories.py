"""The repositories of an image and their order, against the running service and the stand-ins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform import sample_data
from adapters.embedded.platform.process import StandInPlatform
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.platform import service_with
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE

DATE = {"snapshot_date": "2025-03-01"}
TEMPLATE = {"content_template": sample_data.TEMPLATE}
FIRST, LAST = "https://packages.example.com/first", "https://packages.example.com/last"
TAGGED = "https://packages.example.com/gcp"
# A tagged repository between others, one that needs a subscription behind it.
REPOSITORIES = [
    {"id": "first", "baseurl": FIRST, "rhsm": False},
    {"id": "gce", "baseurl": TAGGED, "rhsm": False, "image_type_tags": ["gcp"]},
    {"id": "baseos", "baseurl": sample_data.RHEL9_BASEOS_URL, "rhsm": True},
    {"id": "other", "baseurl": f"{TAGGED}-other", "rhsm": False, "image_type_tags": ["aws"]},
    {"id": "last", "baseurl": LAST, "rhsm": False},
]


@pytest.fixture(params=[False, True], ids=["origin repeated", "origin left out"])
def client(
    request: pytest.FixtureRequest,
    platform_service: Service,
    composer: StandInComposer,
    platform: StandInPlatform,
    tenant: str,
) -> Client:
    """A client of a service whose content sources returns, or hides, the origin of repositories."""
    platform.steer(hide_origin=request.param)
    return platform_service.client(tenant)


@pytest.fixture(scope="module")
def ordered_service(
    module_database: Parameters,
    composer_process: StandInComposer,
    platform_process: StandInPlatform,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """A service with one distribution that has REPOSITORIES."""
    directory = tmp_path_factory.mktemp("distributions")
    folder = directory / "rhel-9.6"
    folder.mkdir()
    document = {
        "module_platform_id": "platform:el9",
        "distribution": {"name": "rhel-9.6", "description": "RHEL", "no_package_list": True},
        "x86_64": {"image_types": ["gcp"], "repositories": REPOSITORIES},
    }
    Path(folder / "rhel-9.6.json").write_text(json.dumps(document))
    environment = {"DISTRIBUTIONS_DIR": str(directory)}
    with service_with(module_database, composer_process.url, platform_process, **environment) as running:
        yield running


def sent(client: Client, composer: StandInComposer, request: dict[str, Any]) -> dict[str, Any]:
    """Start a build, which must be accepted, and return the composer's request."""
    compose_id = client.compose(request)
    metadata = requests.get(f"{composer.api_url}/composes/{compose_id}/metadata", timeout=PATIENCE).json()
    told: dict[str, Any] = metadata["request"]
    return told


def of(*uuids: str) -> list[str]:
    """The beginnings of the addresses of the template's snapshots, without the organization."""
    return [f"/{uuid}/2025-06-01" for uuid in uuids]


def paths(repositories: list[dict[str, Any]]) -> list[str]:
    """The addresses of repositories without the part that all snapshots of the organization share."""
    return ["/" + "/".join(repository["baseurl"].split("/")[-2:]) for repository in repositories]


def rhel(image: dict[str, Any], **customizations: Any) -> dict[str, Any]:
    return compose_request(image=image, distribution="rhel-9.6", customizations=customizations or None)


@pytest.mark.parametrize("customizations", [{}, {"packages": ["vim"]}])
def test_the_snapshots_of_a_template_are_used(
    client: Client, composer: StandInComposer, customizations: dict[str, Any]
) -> None:
    told = sent(client, composer, rhel(TEMPLATE, **customizations))
    assert paths(told["image_request"]["repositories"]) == of(sample_data.RHEL9_BASEOS, sample_data.RHEL9_APPSTREAM)
    assert paths(told["customizations"]["payload_repositories"]) == of(sample_data.EXTERNAL)


def test_the_snapshots_of_a_template_determine_the_minor_version(
    client: Client, composer: StandInComposer, platform: StandInPlatform
) -> None:
    platform.steer(repositories=[{"uuid": sample_data.RHEL9_BASEOS, "detected_os_version": "9.7"}])
    assert sent(client, composer, rhel(TEMPLATE))["distribution"] == "rhel-9.7"


def test_a_template_without_red_hat_repositories_is_refused_by_name(client: Client, platform: StandInPlatform) -> None:
    only_own = {"uuid": "22222222-3333-4444-8555-666666666666", "repository_uuids": [sample_data.EXTERNAL]}
    platform.steer(templates=[only_own])
    answer = client.post("/compose", rhel({"content_template": only_own["uuid"]}))
    assert answer.status_code == 400, answer.text
    assert only_own["uuid"] in answer.json()["errors"][0]["detail"]


def test_the_snapshots_of_a_date_are_used(client: Client, composer: StandInComposer) -> None:
    request = rhel(DATE, payload_repositories=[{"id": sample_data.EXTERNAL, "rhsm": False}])
    told = sent(client, composer, request)
    assert len(told["image_request"]["repositories"]) == 2
    assert paths(told["customizations"]["payload_repositories"]) == [f"/{sample_data.EXTERNAL}/2025-03-01"]


def test_repositories_of_any_origin_are_found_by_id(client: Client, composer: StandInComposer) -> None:
    supplementary = sample_data.red_hat(sample_data.RHEL9_SUPPLEMENTARY_URL)
    named = [{"id": each} for each in (sample_data.EXTERNAL, sample_data.UPLOAD, sample_data.COMMUNITY, supplementary)]
    told = sent(client, composer, rhel({}, custom_repositories=named))
    external, upload, community = told["customizations"]["custom_repositories"]
    assert external["baseurl"] == [sample_data.EXTERNAL_URL]
    assert upload["baseurl"][0].startswith("https://content.example.com/")
    assert community["baseurl"] == [sample_data.COMMUNITY_URL]
    assert supplementary in told["image_request"]["repositories"][-1]["baseurl"]


@pytest.mark.parametrize("image_type", ["gcp", "guest-image"])
def test_repositories_keep_the_order_of_the_file(
    ordered_service: Service, composer: StandInComposer, platform: StandInPlatform, tenant: str, image_type: str
) -> None:
    upload = "gcp" if image_type == "gcp" else "aws.s3"
    request = compose_request(image_type, upload, distribution="rhel-9.6")
    told = sent(ordered_service.client(tenant), composer, request)
    first, *between, baseos, last = (each["baseurl"] for each in told["image_request"]["repositories"])
    assert (first, between, last) == (FIRST, [TAGGED] if image_type == "gcp" else [], LAST)
    assert sample_data.RHEL9_BASEOS in baseos


def test_snapshots_of_a_date_keep_the_order_of_the_file(
    ordered_service: Service, composer: StandInComposer, platform: StandInPlatform, tenant: str
) -> None:
    red_hat = [{"url": url, "origin": "red_hat"} for url in (FIRST, LAST)]
    platform.steer(repositories=red_hat)
    request = compose_request("gcp", "gcp", image=DATE, distribution="rhel-9.6")
    told = sent(ordered_service.client(tenant), composer, request)["image_request"]["repositories"]
    uuids = [sample_data.red_hat(url) for url in (FIRST, sample_data.RHEL9_BASEOS_URL, LAST)]
    assert [each["baseurl"] for each in told][1] == TAGGED
    assert paths([*told[:1], *told[2:]]) == [f"/{uuid}/2025-03-01" for uuid in uuids]
