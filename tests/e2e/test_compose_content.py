"""Builds from a customer's own content, against the running service and the stand-ins of the platform."""

from __future__ import annotations

import time
from itertools import product
from typing import Any

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform import sample_data
from adapters.embedded.platform.process import StandInPlatform
from benchmarks.lookups import Start
from tests.support.builders import compose_request
from tests.support.platform import COMPOSE_DEADLINE
from tests.support.rounds import sampled
from tests.support.service import Client, Service
from tests.support.waiting import BRIEFLY, PATIENCE, SOON

DATE = "2025-03-01"


@pytest.fixture
def unspoiled_client(unspoiled: Service) -> Client:
    return unspoiled.client()


@pytest.fixture
def client(platform_service: Service, composer: StandInComposer, platform: StandInPlatform, tenant: str) -> Client:
    return platform_service.client(tenant)


def rhel_request(
    image_type: str = "guest-image",
    upload: str = "aws.s3",
    *,
    image: dict[str, Any] | None = None,
    **customizations: Any,
) -> dict[str, Any]:
    return compose_request(
        image_type, upload, image=image, distribution="rhel-9.6", customizations=customizations or None
    )


def sent(client: Client, composer: StandInComposer, request: dict[str, Any]) -> dict[str, Any]:
    """Start a build, which must be accepted, and return the composer's request."""
    compose_id = client.compose(request)
    metadata = requests.get(f"{composer.api_url}/composes/{compose_id}/metadata", timeout=PATIENCE).json()
    told: dict[str, Any] = metadata["request"]
    return told


def refused(client: Client, request: dict[str, Any], status: int) -> str:
    answer = client.post("/compose", request)
    assert answer.status_code == status, answer.text
    detail: str = answer.json()["errors"][0]["detail"]
    return detail


SUBSCRIPTION = {
    "organization": 12,
    "activation-key": "key",
    "server-url": "subscription.example.com",
    "base-url": "https://cdn.example.com",
    "insights": True,
}


def test_rhel_is_built_from_its_latest_snapshots(client: Client, composer: StandInComposer) -> None:
    repositories = sent(client, composer, rhel_request())["image_request"]["repositories"]
    assert len(repositories) == 2
    for repository in repositories:
        assert repository["baseurl"].startswith("https://content.example.com/")
        assert "/api/pulp/" not in repository["baseurl"]
        assert repository["rhsm"] is False
        assert repository["check_gpg"] is True


def test_rhel_is_built_as_of_a_date(client: Client, composer: StandInComposer) -> None:
    told = sent(client, composer, rhel_request(image={"snapshot_date": DATE}))
    assert len(told["image_request"]["repositories"]) == 2
    for repository in told["image_request"]["repositories"]:
        assert repository["baseurl"].startswith("https://content.example.com/api/pulp/")


def test_a_snapshot_date_for_centos_is_refused_by_name(client: Client) -> None:
    detail = refused(client, compose_request(image={"snapshot_date": DATE}), 400)
    assert "mirror.stream.centos.org" in detail


def test_a_build_with_a_template_uses_the_repositories_of_the_template(
    client: Client, composer: StandInComposer
) -> None:
    told = sent(client, composer, rhel_request(image={"content_template": sample_data.TEMPLATE}))
    assert told["image_request"]["repositories"]
    for repository in told["image_request"]["repositories"]:
        assert set(repository) <= {"baseurl", "rhsm", "gpgkey", "check_gpg"}
        assert repository["check_gpg"] is True


def test_an_unknown_template_is_refused_by_name(client: Client) -> None:
    unknown = "11111111-2222-3333-4444-555555555555"
    assert unknown in refused(client, rhel_request(image={"content_template": unknown}), 400)


def test_own_repositories_are_completed_by_their_ids(client: Client, composer: StandInComposer) -> None:
    request = rhel_request(
        payload_repositories=[{"id": sample_data.EXTERNAL, "rhsm": False}],
        custom_repositories=[{"id": sample_data.EXTERNAL}, {"id": sample_data.UPLOAD}],
    )
    customizations = sent(client, composer, request)["customizations"]
    assert customizations["payload_repositories"][0]["baseurl"] == sample_data.EXTERNAL_URL
    assert customizations["custom_repositories"][0]["baseurl"] == [sample_data.EXTERNAL_URL]
    assert customizations["custom_repositories"][1]["baseurl"][0].startswith("https://content.example.com/")


def test_a_repository_without_snapshots_is_refused_with_a_snapshot_date(client: Client) -> None:
    request = rhel_request(image={"snapshot_date": DATE}, custom_repositories=[{"id": sample_data.WITHOUT_SNAPSHOTS}])
    assert refused(client, request, 400).endswith("has snapshotting disabled")


def test_sources_are_translated_to_accounts(client: Client, composer: StandInComposer) -> None:
    request = rhel_request("aws", "aws", image={"options": {"share_with_sources": ["1", "2"]}})
    told = sent(client, composer, request)
    assert told["image_request"]["upload_options"]["share_with_accounts"] == list(sample_data.AWS_ACCOUNTS.values())


@pytest.mark.parametrize("source", ["999", "../../x", "", "3"])
def test_a_source_without_an_account_is_refused_by_name(client: Client, source: str) -> None:
    request = rhel_request("aws", "aws", image={"options": {"share_with_sources": [source]}})
    assert refused(client, request, 400) == f"Unable to resolve source {source} to an aws account id"


def test_a_policy_is_translated_to_its_profile_and_tailoring(client: Client, composer: StandInComposer) -> None:
    told = sent(client, composer, rhel_request(openscap={"policy_id": sample_data.POLICY_RHEL9}))["customizations"]
    assert told["openscap"]["policy_id"] == sample_data.POLICY_RHEL9
    assert told["openscap"]["json_tailoring"]["filepath"] == "/etc/osbuild/openscap-tailoring.json"
    assert told["files"][0]["path"] == "/etc/osbuild/openscap-tailoring.json"


def test_a_policy_of_another_major_version_is_refused_by_name(client: Client) -> None:
    request = rhel_request(openscap={"policy_id": sample_data.POLICY_RHEL10})
    assert sample_data.POLICY_RHEL10 in refused(client, request, 400)


def test_a_subscription_is_translated_to_the_registration_of_the_machine(
    client: Client, composer: StandInComposer
) -> None:
    told = sent(client, composer, rhel_request(subscription=SUBSCRIPTION))["customizations"]["subscription"]
    assert told["organization"] == "12"
    assert told["insights_client_proxy"] == "http://proxy.example.com"


def test_a_request_with_all_options_is_built(
    client: Client, composer: StandInComposer, platform: StandInPlatform
) -> None:
    request = rhel_request(
        "aws",
        "aws",
        image={"snapshot_date": DATE, "options": {"share_with_sources": ["1", "2"]}},
        subscription=SUBSCRIPTION,
        openscap={"policy_id": sample_data.POLICY_RHEL9},
        payload_repositories=[
            {"baseurl": sample_data.EXTERNAL_URL, "rhsm": False},
            {"id": sample_data.COMMUNITY, "rhsm": False},
        ],
        custom_repositories=[{"id": sample_data.EXTERNAL}, {"id": sample_data.COMMUNITY}],
    )
    told = sent(client, composer, request)
    assert len(told["customizations"]["payload_repositories"]) == 2
    assert told["customizations"]["services"] == {"enabled": ["rhcd"]}
    asked = [
        (call["back_end"], call["method"], call["path"], call.get("query")) for call in platform.behaviour()["recent"]
    ]
    assert len(asked) == len(set(map(str, asked))), "each question is asked once"


def test_a_request_with_all_options_waits_for_three_rounds_of_calls(
    client: Client, composer: StandInComposer, platform: StandInPlatform
) -> None:
    slow = {"latency": BRIEFLY}
    platform.steer(content_sources=slow, provisioning=slow, compliance=slow)
    composer.steer(latency=BRIEFLY)
    request = rhel_request(
        "aws",
        "aws",
        image={"snapshot_date": DATE, "options": {"share_with_sources": ["1", "2"]}},
        openscap={"policy_id": sample_data.POLICY_RHEL9},
        payload_repositories=[
            {"id": sample_data.EXTERNAL, "rhsm": False},
            {"id": sample_data.COMMUNITY, "rhsm": False},
        ],
        custom_repositories=[{"id": sample_data.EXTERNAL}, {"id": sample_data.COMMUNITY}],
    )
    began = time.monotonic()
    client.compose(request)
    seconds = time.monotonic() - began
    remembered = (call for stand_in in (platform, composer) for call in stand_in.behaviour()["recent"])
    assert Start(seconds, tuple(call for call in remembered if call["began"] >= began)).waits == 3


@pytest.mark.parametrize(
    ("back_end", "fault"),
    sampled(
        product(
            ["content_sources", "provisioning", "compliance"],
            [{"hang": True}, {"drop": "before"}, {"raw": {"status": 502, "body": "<html>"}}],
        ),
        3,
    ),
)
def test_an_unavailable_back_end_is_named_within_the_deadline(
    unspoiled_client: Client, composer: StandInComposer, platform: StandInPlatform, back_end: str, fault: dict[str, Any]
) -> None:
    platform.steer(**{back_end: fault})
    request = rhel_request(
        "aws",
        "aws",
        image={"options": {"share_with_sources": ["1"]}},
        openscap={"policy_id": sample_data.POLICY_RHEL9},
    )
    began = time.monotonic()
    answer = unspoiled_client.post("/compose", request)
    assert answer.status_code == 503, answer.text
    assert time.monotonic() - began < COMPOSE_DEADLINE + SOON
    assert "retry-after" in answer.headers
    detail = answer.json()["errors"][0]["detail"].lower()
    assert back_end.replace("_", " ") in detail
    assert "http" not in detail
    assert composer.counters().get("POST /compose", 0) == 0


def test_a_refusal_of_content_sources_names_the_missing_permission(client: Client, platform: StandInPlatform) -> None:
    platform.steer(content_sources={"raw": {"status": 401, "body": "{}"}})
    detail = refused(client, rhel_request(), 403)
    assert detail.startswith("user is not authorized - please check your 'Repositories viewer'")


@pytest.mark.parametrize(
    ("image", "customizations"),
    [
        ({"snapshot_date": DATE}, {}),
        ({"content_template": sample_data.TEMPLATE}, {}),
        ({"options": {"share_with_sources": ["1"]}}, {}),
        ({}, {"openscap": {"policy_id": sample_data.POLICY_RHEL9}}),
    ],
)
def test_the_error_names_a_back_end_that_is_not_configured(
    service: Service, composer: StandInComposer, image: dict[str, Any], customizations: dict[str, Any]
) -> None:
    kind = ("aws", "aws") if "options" in image else ("guest-image", "aws.s3")
    answer = service.client("alone").post("/compose", rhel_request(*kind, image=image, **customizations))
    assert answer.status_code == 503
    assert "retry-after" not in answer.headers
    assert "not set up" in answer.json()["errors"][0]["detail"]
