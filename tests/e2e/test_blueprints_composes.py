"""GET /blueprints/{id}/composes: the composes of a blueprint."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.blueprints import blueprint, changed, composed, composes_of, kept, read
from tests.support.builders import compose_request, image_request
from tests.support.composes import listed
from tests.support.databases import Parameters, session
from tests.support.refusals import refusal
from tests.support.rows import insert_blueprint_version, insert_compose
from tests.support.service import Client, Service


@pytest.fixture
def of_three_versions(client: Client) -> tuple[str, list[str]]:
    """A blueprint's id, and the ids of builds of its versions 1, 1 and 3."""
    blueprint_id = kept(client)
    ids = composed(client, blueprint_id) + composed(client, blueprint_id)
    for _ in range(2):
        changed(client, blueprint_id, blueprint())
    return blueprint_id, ids + composed(client, blueprint_id)


def ids(page: dict[str, list[dict[str, str]]]) -> list[str]:
    return [item["id"] for item in page["data"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [2, 1, 0]),
        ("?blueprint_version=1", [1, 0]),
        ("?blueprint_version=2", []),
        ("?blueprint_version=3", [2]),
        ("?blueprint_version=4", []),
        ("?blueprint_version=-1", [2]),
        ("?blueprint_version=-7", [2]),
        ("?blueprint_version=9223372036854775807", []),
    ],
)
def test_composes_of_a_version_can_be_listed_and_a_negative_version_means_the_latest(
    client: Client, of_three_versions: tuple[str, list[str]], query: str, found: list[int]
) -> None:
    blueprint_id, made = of_three_versions
    page = composes_of(client, blueprint_id, query)
    assert ids(page) == [made[number] for number in found]
    assert page["meta"]["count"] == len(found)


def test_the_list_is_empty_if_the_latest_version_was_not_built(client: Client) -> None:
    blueprint_id = kept(client)
    composed(client, blueprint_id)
    changed(client, blueprint_id, blueprint())
    assert composes_of(client, blueprint_id, "?blueprint_version=-1")["data"] == []


def test_an_item_is_the_same_as_in_the_list_of_all_composes(
    client: Client, of_three_versions: tuple[str, list[str]]
) -> None:
    blueprint_id, _ = of_three_versions
    page = composes_of(client, blueprint_id)
    assert page["data"] == listed(client)["data"]
    assert [(item["blueprint_id"], item["blueprint_version"]) for item in page["data"]] == [
        (blueprint_id, number) for number in (3, 1, 1)
    ]


def test_composes_of_other_blueprints_and_of_no_blueprint_are_not_listed(
    client: Client, of_three_versions: tuple[str, list[str]]
) -> None:
    blueprint_id, made = of_three_versions
    client.compose(compose_request())
    other = kept(client, name="other")
    composed(client, other)
    assert set(ids(composes_of(client, blueprint_id))) == set(made)


def test_a_deleted_compose_is_not_listed(client: Client, of_three_versions: tuple[str, list[str]]) -> None:
    blueprint_id, made = of_three_versions
    client.delete(f"/composes/{made[0]}")
    assert set(ids(composes_of(client, blueprint_id))) == set(made[1:])
    assert read(client, blueprint_id)["name"] == "web"


def test_image_types_can_be_ignored(client: Client) -> None:
    blueprint_id = kept(
        client, blueprint("web", image_request(), image_request("ami", "aws"), image_request("gcp", "gcp"))
    )
    composed(client, blueprint_id)
    page = composes_of(client, blueprint_id, "?ignoreImageTypes=ami&ignoreImageTypes=gcp")
    assert page["meta"]["count"] == 1
    assert page["data"][0]["request"]["image_requests"][0]["image_type"] == "guest-image"


def test_links_lead_to_the_same_blueprint_and_repeat_all_filters(client: Client) -> None:
    blueprint_id = kept(client)
    for _ in range(3):
        composed(client, blueprint_id)
    page = composes_of(client, blueprint_id, "?offset=1&limit=2&ignoreImageTypes=ami&blueprint_version=1")
    assert (page["meta"]["count"], len(page["data"])) == (3, 2)
    for link, offset in ((page["links"]["first"], "0"), (page["links"]["last"], "2")):
        parts = urlsplit(link)
        assert parts.path == f"/api/image-builder/v1.0/blueprints/{blueprint_id}/composes"
        assert [each.split("=")[0] for each in parts.query.split("&")] == [
            *("blueprint_version", "ignoreImageTypes", "limit", "offset")
        ]
        assert parse_qs(parts.query) == {
            "blueprint_version": ["1"],
            "ignoreImageTypes": ["ami"],
            "limit": ["2"],
            "offset": [offset],
        }
    assert len(client.get(page["links"]["last"], base="").json()["data"]) == 1


@pytest.mark.parametrize("offset", [50, 2**63 - 1])
def test_a_page_past_the_end_is_empty_and_has_the_count(
    client: Client, of_three_versions: tuple[str, list[str]], offset: int
) -> None:
    page = composes_of(client, of_three_versions[0], f"?offset={offset}")
    assert (page["meta"]["count"], page["data"]) == (3, [])


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "offset=-1", "blueprint_version=x", "blueprint_version=1.5", "blueprint_version="]
)
def test_invalid_parameters_are_refused(client: Client, query: str) -> None:
    refusal(client.get(f"/blueprints/{kept(client)}/composes?{query}"), 400)


@pytest.mark.parametrize("version", ["", "?blueprint_version=-1", "?blueprint_version=1"])
def test_an_unknown_blueprint_is_not_found_with_any_version(client: Client, service: Service, version: str) -> None:
    anothers = kept(service.client("another"), name=f"of another {version}")
    for blueprint_id in ("7709b691-15a9-4dae-ae96-d6584b9f389f", anothers):
        refusal(client.get(f"/blueprints/{blueprint_id}/composes{version}"), 404)


def test_the_list_goes_back_14_days(client: Client, tenant: str, module_database: Parameters) -> None:
    blueprint_id, version = insert_blueprint_version(module_database, tenant, 1)
    recent = insert_compose(module_database, tenant, blueprint_version_id=version, ago=timedelta(days=13))
    insert_compose(module_database, tenant, blueprint_version_id=version, ago=timedelta(days=15))
    assert ids(composes_of(client, str(blueprint_id))) == [str(recent)]


def test_older_requests_of_any_shape_are_listed(client: Client, tenant: str, module_database: Parameters) -> None:
    blueprint_id = kept(client)
    (compose_id,) = composed(client, blueprint_id)
    with session(module_database) as connection:
        connection.execute("UPDATE composes SET request = '{\"of_old\": null}' WHERE job_id = %s", (compose_id,))
    assert composes_of(client, blueprint_id)["data"][0]["request"] == {"image_requests": []}
