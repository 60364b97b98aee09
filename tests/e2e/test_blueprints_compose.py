"""POST /blueprints/{id}/compose: which images it builds, with which request, for which caller."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from domain.blueprints.composing import MAX_IMAGES
from tests.support.blueprints import (
    blueprint,
    changed,
    composed,
    composes_of,
    insert_blueprint,
    kept,
    read,
)
from tests.support.builders import image_request
from tests.support.composes import listed, status_of
from tests.support.databases import Parameters
from tests.support.openapi import openapi_document
from tests.support.refusals import refusal
from tests.support.rows import counts, stored_row
from tests.support.service import Client
from tests.support.waiting import PATIENCE, STRETCH

TWO = image_request(), image_request("aws", "aws")
# The one that the distribution directory lists.
REFERENCE = (
    "quay.io/redhat-services-prod/insights-management-tenant/image-builder-bootc-foundry/hummingbird-qcow2:latest"
)
BOOTC = {"reference": REFERENCE}


def told(composer: StandInComposer, compose_id: str) -> dict[str, Any]:
    """The composer's request of a build."""
    metadata = requests.get(f"{composer.api_url}/composes/{compose_id}/metadata", timeout=PATIENCE).json()
    request: dict[str, Any] = metadata["request"]
    return request


def image_types(database: Parameters, compose_ids: list[str]) -> list[str]:
    """The image types in the rows of these builds."""
    rows = [stored_row(database, compose_id)["request"]["image_requests"] for compose_id in compose_ids]
    return [image["image_type"] for (image,) in rows]


def test_each_image_becomes_a_build_in_the_order_of_the_blueprint(client: Client, module_database: Parameters) -> None:
    ids = composed(client, kept(client, blueprint("web", *TWO)))
    assert image_types(module_database, ids) == ["guest-image", "aws"]
    assert {item["id"] for item in listed(client)["data"]} == set(ids)


def test_the_answer_is_a_list_of_compose_ids(client: Client) -> None:
    answer = client.post(f"/blueprints/{kept(client)}/compose")
    assert (answer.status_code, answer.headers["Content-Type"]) == (201, "application/json")
    assert [list(each) for each in answer.json()] == [["id"]]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (None, {}),
        (None, {"Content-Type": "application/json"}),
        (b"", {"Content-Type": "application/json"}),
        (b"{}", {"Content-Type": "application/json"}),
        (b"{}", {"Content-Type": "application/json; charset=utf-8"}),
        (iter([b"{}"]), {"Content-Type": "application/json"}),
    ],
    ids=["nothing", "a type alone", "empty", "no keys", "a charset", "chunks"],
)
def test_without_image_types_all_images_are_built(client: Client, body: Any, headers: dict[str, str]) -> None:
    blueprint_id = kept(client, blueprint("web", *TWO))
    answer = client.request("POST", f"/blueprints/{blueprint_id}/compose", data=body, headers=headers)
    assert answer.status_code == 201, answer.text
    assert len(answer.json()) == 2


@pytest.mark.parametrize(
    ("wanted", "built"),
    [
        (["aws"], ["aws"]),
        (["aws", "guest-image"], ["guest-image", "aws"]),
        (["aws", "aws"], ["aws"]),
        (["gcp"], []),
        (["gcp", "aws"], ["aws"]),
        ([], []),
        (["ami"], []),
    ],
)
def test_only_images_of_the_requested_types_are_built(
    client: Client, module_database: Parameters, wanted: list[str], built: list[str]
) -> None:
    blueprint_id = kept(client, blueprint("web", *TWO))
    answer = client.post(f"/blueprints/{blueprint_id}/compose", {"image_types": wanted})
    assert answer.status_code == 201, answer.text
    assert image_types(module_database, [each["id"] for each in answer.json()]) == built


@pytest.mark.parametrize(
    "body", [{"image_types": ["nonsense"]}, {"image_types": "aws"}, {"image_types": None}, [], "x"]
)
def test_unknown_image_types_are_refused(client: Client, composer: StandInComposer, body: Any) -> None:
    refusal(client.post(f"/blueprints/{kept(client)}/compose", body), 400)
    assert "POST /compose" not in composer.counters()


@pytest.mark.parametrize(
    ("header", "client_id"),
    [("mcp", "mcp"), ("true", "ui"), ("false", "ui"), ("MCP", "ui"), ("", "api"), (None, "api")],
)
def test_the_client_is_taken_from_the_interface_header(
    client: Client, module_database: Parameters, header: str | None, client_id: str
) -> None:
    headers = {} if header is None else {"X-ImageBuilder-ui": header}
    answer = client.post(f"/blueprints/{kept(client)}/compose", headers=headers)
    (item,) = listed(client)["data"]
    assert (item["client_id"], item["request"]["client_id"]) == (client_id, client_id)
    assert stored_row(module_database, answer.json()[0]["id"])["client_id"] == client_id


def test_a_build_has_the_name_the_description_and_the_version_of_the_blueprint(client: Client) -> None:
    blueprint_id = kept(client, name="old")
    changed(client, blueprint_id, blueprint("new", description="of mine", customizations={"packages": ["nginx"]}))
    (compose_id,) = composed(client, blueprint_id)
    (item,) = listed(client)["data"]
    assert (item["id"], item["image_name"]) == (compose_id, "new")
    assert (item["blueprint_id"], item["blueprint_version"]) == (blueprint_id, 2)
    request = status_of(client, compose_id)["request"]
    assert (request["image_name"], request["image_description"]) == ("new", "of mine")
    assert request["customizations"] == {"packages": ["nginx"]}


def test_a_long_name_of_an_older_row_is_shortened_for_the_image(
    client: Client, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = str(insert_blueprint(module_database, tenant, "n" * 200, blueprint()))
    composed(client, blueprint_id)
    assert listed(client)["data"][0]["image_name"] == "n" * 100


def test_a_distribution_is_built(client: Client, composer: StandInComposer) -> None:
    (compose_id,) = composed(client, kept(client))
    assert "bootc" not in told(composer, compose_id)
    assert told(composer, compose_id)["distribution"] == "centos-9"


@pytest.mark.parametrize("distribution", ["centos-9", None])
def test_a_bootable_container_is_built_without_a_distribution(
    client: Client, composer: StandInComposer, distribution: str | None
) -> None:
    (compose_id,) = composed(client, kept(client, distribution=distribution, bootc=BOOTC))
    assert told(composer, compose_id)["bootc"] == BOOTC
    assert "distribution" not in told(composer, compose_id)
    assert "distribution" not in listed(client)["data"][0]["request"]


GOOD = image_request()


@pytest.mark.parametrize(
    ("document", "status", "detail"),
    [
        (blueprint("web", GOOD, distribution=None), 400, "distribution: the blueprint has none"),
        (blueprint("web", GOOD, image_request("azure", "azure", options={})), 400, ""),
        (blueprint("web", GOOD, image_request("aws", "azure")), 400, ""),
        (blueprint("web", GOOD, image_request("aws", "aws", size=2**60)), 400, ""),
        (blueprint("web", GOOD, distribution="fedora-42"), 403, "not authorized to build"),
        (blueprint("web", GOOD, bootc={"reference": "nowhere"}), 400, "bootc reference 'nowhere' not found"),
        (
            blueprint("web", GOOD, image_request("aws", "aws", snapshot_date="2025-01-01", content_template="t")),
            400,
            "Either a snapshot date or content template can be specified, but not both",
        ),
        (blueprint("web", GOOD, image_request("aws", "aws", options={"share_with_sources": ["1"]})), 503, ""),
    ],
    ids=[
        "neither source",
        "no account",
        "another target",
        "too large",
        "not allowed",
        "no such container",
        "date and template",
        "no back-end",
    ],
)
def test_no_build_is_started_if_one_image_cannot_be_built(
    client: Client,
    composer: StandInComposer,
    module_database: Parameters,
    tenant: str,
    document: dict[str, Any],
    status: int,
    detail: str,
) -> None:
    answer = client.post(f"/blueprints/{kept(client, document)}/compose")
    assert detail in refusal(answer, status)
    assert "POST /compose" not in composer.counters()
    assert counts(module_database, tenant) == (0, 0)


def test_images_that_are_not_requested_are_not_checked(client: Client) -> None:
    blueprint_id = kept(client, blueprint("web", GOOD, image_request("azure", "azure", options={})))
    assert len(composed(client, blueprint_id, "guest-image")) == 1


def test_images_are_submitted_concurrently(client: Client, composer: StandInComposer) -> None:
    composer.steer(post_latency=min(STRETCH, 10.0))
    images = [image_request(size=size) for size in range(2**30, 2**30 + 6)]
    blueprint_id = kept(client, blueprint("web", *images))
    assert len(set(composed(client, blueprint_id))) == 6
    submissions = [call for call in composer.behaviour()["recent"] if call["path"].endswith("/compose")]
    assert len(submissions) == 6
    assert max(call["began"] for call in submissions) < min(call["ended"] for call in submissions)


OLD_BODIES = [
    {**blueprint("inner"), "description": "inner", "metadata": {"parent_id": None}},
    blueprint(customizations={"openscap": {"profile_id": "p", "policy_id": "00000000-0000-0000-0000-000000000000"}}),
    blueprint(customizations={"kernel": {"append": " audit=1"}, "users": None, "packages": None}),
    blueprint(customizations={"users": [{"name": "u", "password": "$6$s$h", "hasPassword": True}]}),
    {**blueprint(), "customizations": None},
]


@pytest.mark.parametrize("body", OLD_BODIES, ids=range(len(OLD_BODIES)))
def test_blueprints_of_older_rows_are_built(
    client: Client, composer: StandInComposer, module_database: Parameters, tenant: str, body: dict[str, Any]
) -> None:
    blueprint_id = str(insert_blueprint(module_database, tenant, "old", body))
    (compose_id,) = composed(client, blueprint_id)
    assert told(composer, compose_id)["distribution"] == "centos-9"
    assert composes_of(client, blueprint_id)["data"][0]["image_name"] == "old"


def test_a_build_does_not_change_the_blueprint(client: Client) -> None:
    blueprint_id = kept(client)
    before = read(client, blueprint_id)
    composed(client, blueprint_id)
    assert read(client, blueprint_id) == before


@pytest.fixture
def deleted(client: Client) -> list[str]:
    """The ids of builds of two versions of a deleted blueprint."""
    blueprint_id = kept(client, blueprint("web", *TWO))
    ids = composed(client, blueprint_id)
    changed(client, blueprint_id, blueprint("web"))
    ids += composed(client, blueprint_id)
    assert client.delete(f"/blueprints/{blueprint_id}").status_code == 204
    return ids


def test_builds_of_a_deleted_blueprint_are_hidden_and_count_towards_the_quota(
    client: Client, deleted: list[str], module_database: Parameters, tenant: str
) -> None:
    assert listed(client)["meta"]["count"] == 0
    for compose_id in deleted:
        refusal(client.get(f"/composes/{compose_id}"), 404)
    assert counts(module_database, tenant) == (3, 0)


def sizes(number: int, image_type: str = "guest-image") -> list[dict[str, Any]]:
    """This number of images of one type, all different."""
    return [image_request(image_type, size=(each + 1) * 1024**3) for each in range(number)]


def test_a_blueprint_has_at_most_40_images(client: Client) -> None:
    assert client.post("/blueprints", blueprint("most", *sizes(MAX_IMAGES))).status_code == 201
    detail = refusal(client.post("/blueprints", blueprint("more", *sizes(MAX_IMAGES + 1))), 400)
    assert "image_requests" in detail


def test_the_contract_allows_one_image_for_each_image_type_and_architecture() -> None:
    schemas = openapi_document()["components"]["schemas"]
    architectures = schemas["ImageRequest"]["properties"]["architecture"]["enum"]
    most = schemas["CreateBlueprintRequest"]["properties"]["image_requests"]["maxItems"]
    assert most == MAX_IMAGES >= len(schemas["ImageTypes"]["enum"]) * len(architectures)


def test_an_older_blueprint_with_more_images_is_readable_and_can_be_built_in_parts(
    client: Client, module_database: Parameters, tenant: str
) -> None:
    images = [*sizes(MAX_IMAGES), *sizes(2, "wsl")]
    body = {"distribution": "centos-9", "image_requests": images, "customizations": {}}
    old = str(insert_blueprint(module_database, tenant, "old", body))
    assert len(read(client, old)["image_requests"]) == MAX_IMAGES + 2
    assert refusal(client.post(f"/blueprints/{old}/compose"), 400) == (
        "42 images of the blueprint would be built, and at most 40 can be built at once: "
        "choose some of them with image_types"
    )
    assert counts(module_database, tenant) == (0, 0)
    assert len(composed(client, old, "wsl")) == 2
    assert len(composed(client, old, "guest-image")) == MAX_IMAGES
