"""Exporting blueprints with the organization's own repositories. Secrets: test_blueprints_secrets."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform import sample_data
from adapters.embedded.platform.process import StandInPlatform
from tests.support.blueprints import UNKNOWN, blueprint, changed, exported, kept
from tests.support.builders import image_request
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.service import Client, Service


@pytest.fixture
def client(platform_service: Service, composer: StandInComposer, platform: StandInPlatform, tenant: str) -> Client:
    return platform_service.client(tenant)


def with_repositories(*custom: dict[str, Any], payload: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A blueprint with these repositories."""
    customizations = {"custom_repositories": list(custom), "payload_repositories": payload or []}
    return blueprint("web", customizations=customizations)


def asked(platform: StandInPlatform) -> list[str]:
    """The requests to content sources."""
    return [operation for operation in platform.counters() if operation.startswith("content_sources")]


def asked_to_export(platform: StandInPlatform) -> list[list[str]]:
    """The ids in the export requests to content sources, call by call."""
    return [
        json.loads(call["body"])["repository_uuids"]
        for call in platform.behaviour()["recent"]
        if call["path"].endswith("/bulk_export/")
    ]


def test_an_export_has_the_latest_version_and_its_origin(client: Client) -> None:
    blueprint_id = kept(client, metadata={"parent_id": UNKNOWN, "exported_at": "x", "is_on_prem": True})
    changed(client, blueprint_id, blueprint("new", description="of mine", customizations={"packages": ["nginx"]}))
    document = exported(client, blueprint_id)
    exported_at = document["metadata"].pop("exported_at")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", exported_at)
    assert abs(datetime.fromisoformat(exported_at) - datetime.now(UTC)) < timedelta(seconds=30)
    assert document == {
        "name": "new",
        "description": "of mine",
        "distribution": "centos-9",
        "customizations": {"packages": ["nginx"]},
        "metadata": {"parent_id": blueprint_id, "is_on_prem": False, "redacted": ["image_requests"]},
        "content_sources": [],
    }


@pytest.mark.parametrize("distribution", ["centos-9", None])
def test_an_export_has_the_distribution_or_container_image(client: Client, distribution: str | None) -> None:
    bootc = {"reference": "registry.example.com/image:latest"}
    document = exported(client, kept(client, distribution=distribution, bootc=bootc))
    assert (document["bootc"], document.get("distribution")) == (bootc, distribution)


def test_an_export_has_the_snapshot_date_of_the_first_image(client: Client) -> None:
    first, second = (image_request(snapshot_date=f"2025-0{month}-01") for month in (1, 2))
    assert exported(client, kept(client, blueprint("a", first, second)))["snapshot_date"] == "2025-01-01"
    assert "snapshot_date" not in exported(client, kept(client, blueprint("b", image_request(), second)))


@pytest.mark.parametrize("customizations", [{}, {"custom_repositories": []}, {"packages": ["nginx"]}])
def test_without_own_repositories_content_sources_is_not_called(
    client: Client, platform: StandInPlatform, customizations: dict[str, Any]
) -> None:
    assert exported(client, kept(client, customizations=customizations))["content_sources"] == []
    assert asked(platform) == []


def test_own_repositories_are_exported_as_content_sources_describes_them(
    client: Client, platform: StandInPlatform
) -> None:
    document = exported(
        client, kept(client, with_repositories({"id": sample_data.EXTERNAL}, {"id": sample_data.UPLOAD}))
    )
    assert [repository["name"] for repository in document["content_sources"]] == ["tools", "uploaded"]
    assert document["content_sources"][0]["url"] == sample_data.EXTERNAL_URL
    assert asked_to_export(platform) == [[sample_data.EXTERNAL, sample_data.UPLOAD]]


def test_the_export_of_content_sources_is_passed_on_unchanged(client: Client, platform: StandInPlatform) -> None:
    odd = [{"name": "tools", "of_tomorrow": {"null": None, "list": []}}, {}]
    platform.steer(content_sources={"raw": {"status": 201, "body": odd, "content_type": "application/json"}})
    assert exported(client, kept(client, with_repositories({"id": sample_data.EXTERNAL})))["content_sources"] == odd


@pytest.mark.parametrize("hide_origin", [False, True])
@pytest.mark.parametrize("url", [sample_data.COMMUNITY_URL, sample_data.COMMUNITY_URL.rstrip("/")])
def test_community_repositories_get_the_common_id_and_name(
    client: Client, platform: StandInPlatform, url: str, hide_origin: bool
) -> None:
    platform.steer(hide_origin=hide_origin)
    document = with_repositories(
        {"id": UNKNOWN, "name": "mine", "baseurl": [url, "https://mirror.example.com/"], "enabled": True},
        payload=[{"id": UNKNOWN, "baseurl": url, "rhsm": False}],
    )
    customizations = exported(client, kept(client, document))["customizations"]
    (custom,), (payload,) = customizations["custom_repositories"], customizations["payload_repositories"]
    assert (custom["id"], custom["name"]) == (sample_data.COMMUNITY, "EPEL 9 Everything x86_64")
    assert custom["baseurl"] == [url, "https://mirror.example.com/"]
    assert (payload["id"], payload["baseurl"]) == (sample_data.COMMUNITY, url)
    assert asked_to_export(platform) == [[sample_data.COMMUNITY]]


def test_other_repositories_are_exported_unchanged(client: Client, platform: StandInPlatform) -> None:
    later = {"id": sample_data.EXTERNAL, "baseurl": [sample_data.EXTERNAL_URL, sample_data.COMMUNITY_URL]}
    customizations = exported(client, kept(client, with_repositories(later)))["customizations"]
    assert customizations["custom_repositories"][0]["id"] == sample_data.EXTERNAL
    assert asked_to_export(platform) == [[sample_data.EXTERNAL]]


def test_an_own_repository_with_the_url_of_a_community_repository_stays_the_organizations(
    client: Client, platform: StandInPlatform
) -> None:
    external = {"uuid": UNKNOWN, "url": sample_data.COMMUNITY_URL, "name": "mirror", "origin": "external"}
    platform.steer(repositories=[external, {"uuid": sample_data.COMMUNITY, "origin": "external"}])
    document = with_repositories({"id": sample_data.EXTERNAL, "baseurl": [sample_data.COMMUNITY_URL]})
    customizations = exported(client, kept(client, document))["customizations"]
    assert customizations["custom_repositories"][0]["id"] == sample_data.EXTERNAL


@pytest.mark.parametrize("only", [None, ["POST /repositories/bulk_export/"]])
@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_content_sources_names_the_missing_permission(
    client: Client, platform: StandInPlatform, status: int, only: list[str] | None
) -> None:
    blueprint_id = kept(
        client, with_repositories({"id": sample_data.COMMUNITY, "baseurl": [sample_data.COMMUNITY_URL]})
    )
    platform.steer(content_sources={"raw": {"status": status, "body": "{}"}, "only": only})
    detail = refusal(client.get(f"/blueprints/{blueprint_id}/export"), 403)
    assert detail.startswith("user is not authorized - please check your 'Repositories viewer'")


@pytest.mark.parametrize(
    "fault", [{"drop": "before"}, {"raw": {"status": 500}}, {"raw": {"status": 200, "body": "<html>"}}]
)
def test_the_error_names_content_sources_if_it_is_unavailable(
    unspoiled: Service, platform: StandInPlatform, tenant: str, fault: dict[str, Any]
) -> None:
    client = unspoiled.client(tenant)
    blueprint_id = kept(client, with_repositories({"id": sample_data.EXTERNAL}))
    platform.steer(content_sources=fault)
    answer = client.get(f"/blueprints/{blueprint_id}/export")
    assert "content sources" in refusal(answer, 503).lower()
    assert "Retry-After" in answer.headers


def test_without_configured_content_sources_only_blueprints_with_own_repositories_are_refused(
    service: Service, module_database: Parameters, tenant: str
) -> None:
    client = service.client(tenant)
    assert exported(client, kept(client))["content_sources"] == []
    answer = client.get(f"/blueprints/{kept(client, {**with_repositories({'id': UNKNOWN}), 'name': 'own'})}/export")
    assert "not set up" in refusal(answer, 503)
    assert "Retry-After" not in answer.headers
