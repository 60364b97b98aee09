"""Filters, orders and cursors of lists of builds, against the running service."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.composes import listed, status_of
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.rows import insert_blueprint_version, insert_compose
from tests.support.service import Client, Service
from tests.support.waiting import until


def ids(page: dict[str, Any]) -> list[str]:
    return [item["id"] for item in page["data"]]


def insert(database: Parameters, tenant: str, ago: int = 0, image_type: str = "aws", **fields: Any) -> str:
    distribution = fields.pop("distribution", "centos-9")
    request = compose_request(image_type, distribution=distribution)
    request["image_requests"][0]["architecture"] = fields.pop("architecture", "x86_64")
    return str(insert_compose(database, tenant, request, ago=timedelta(minutes=ago), **fields))


def test_filters_find_what_they_say_and_are_counted(client: Client, tenant: str, module_database: Parameters) -> None:
    blueprint, version = insert_blueprint_version(module_database, tenant, 2)
    web = insert(module_database, tenant, 3, image_name="Web server", blueprint_version_id=version, client_id="ui")
    wsl = insert(module_database, tenant, 2, "wsl", distribution="rhel-9")
    arm = insert(module_database, tenant, 1, "guest-image", architecture="aarch64", client_id="api")
    old = insert(module_database, tenant, 60 * 24 * 20)
    found = {
        "image_type=wsl": [wsl],
        "image_type=wsl&image_type=aws": [wsl, web],
        "architecture=aarch64": [arm],
        "distribution=rhel-9&distribution=centos-9": [arm, wsl, web],
        "distribution=rhel-9": [wsl],
        f"blueprint_id={blueprint}": [web],
        f"blueprint_id={uuid4()}": [],
        "client_id=api": [arm],
        "search=WEB": [web],
        "search=": [arm, wsl, web],
        "created_by=alice": [],
        "created_after=2020-01-01T00:00:00Z": [arm, wsl, web, old],
        "created_before=2020-01-01T00:00:00%2B02:00": [],
        "sort=created_at": [web, wsl, arm],
        "sort=-image_name&image_type=aws": [web],
        "search=web&client_id=ui&image_type=aws&architecture=x86_64&ignoreImageTypes=wsl": [web],
    }
    for query, expected in found.items():
        page = listed(client, f"?{query}")
        assert (page["meta"]["count"], ids(page)) == (len(expected), expected), query
        of_blueprint = client.get(f"/blueprints/{blueprint}/composes?{query}").json()
        assert ids(of_blueprint) == [each for each in expected if each == web], query
        assert of_blueprint["meta"]["count"] == len(of_blueprint["data"])


def test_builds_are_found_by_their_last_known_status(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(image_status={"status": "building"}, status="pending")
    status_of(client, compose_id)
    assert ids(listed(client, "?status=building&status=success")) == [compose_id]
    assert listed(client, "?status=failure&status=success")["meta"]["count"] == 0
    composer.steer(image_status={"status": "success"}, status="success")
    until(lambda: status_of(client, compose_id)["image_status"]["status"] == "success", "it is built")
    assert ids(listed(client, "?status=success")) == [compose_id]
    assert listed(client, "?status=building")["meta"]["count"] == 0


def test_links_repeat_all_filters_and_lead_through_the_whole_list(
    client: Client, tenant: str, module_database: Parameters
) -> None:
    made = [insert(module_database, tenant, number, image_name=f"web {number}") for number in range(5)]
    query = (
        "architecture=x86_64&blueprint_version=7&client_id=ui&created_after=2026-01-01T00%3A00%3A00Z&distribution=centos-9"
        "&ignoreImageTypes=wsl&image_type=aws&image_type=gcp&limit=2&search=WEB&sort=created_at&created_by=bob"
    )
    blueprint, _ = insert_blueprint_version(module_database, tenant, 7)
    for link in client.get(f"/blueprints/{blueprint}/composes?{query}").json()["links"].values():
        repeated = parse_qs(urlsplit(link).query)
        assert repeated.pop("offset") == ["0"]
        assert repeated == parse_qs(query)
    page = listed(client, "?limit=2&search=web&sort=created_at&image_type=aws")
    seen = [ids(page)]
    while "next" in page["links"]:
        assert parse_qs(urlsplit(page["links"]["next"]).query).keys() == {
            "cursor", "limit", "search", "sort", "image_type",
        }  # fmt: skip
        page = client.get(page["links"]["next"], base="").json()
        assert page["meta"]["count"] == 5
        seen.append(ids(page))
    assert [each for part in seen for each in part] == made[::-1]
    while "prev" in page["links"]:
        seen.pop()
        page = client.get(page["links"]["prev"], base="").json()
        assert ids(page) == seen[-1]
    assert len(seen) == 1


def test_pages_by_offset_have_links_to_their_neighbours(
    client: Client, tenant: str, module_database: Parameters
) -> None:
    made = [insert(module_database, tenant, number) for number in range(5)]
    page = listed(client, "?limit=2&offset=2")
    assert ids(client.get(page["links"]["next"], base="").json()) == made[4:]
    assert ids(client.get(page["links"]["prev"], base="").json()) == made[:2]
    assert listed(client, "?limit=5")["links"].keys() == {"first", "last"}
    assert ids(client.get(listed(client, "?offset=50")["links"]["prev"], base="").json()) == made


# The same in every process of a test run.
AHEAD = "2200-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "query",
    [
        "image_type=floppy",
        "status=done",
        "status=",
        "image_type=aws&image_type=",
        "architecture=m68k",
        "architecture=x86_64&architecture=aarch64",
        "distribution=windows-11",
        "blueprint_id=1",
        "client_id=cli",
        "created_by=",
        f"created_by={'x' * 256}",
        f"search={'x' * 101}",
        "search=%00",
        "created_after=yesterday",
        "created_after=2026-02-30T00:00:00Z",
        "created_after=2026-01-01",
        "created_after=0001-01-01T00:00:00%2B14:00",
        "created_before=",
        f"created_after={AHEAD}",
        f"created_before={AHEAD}",
        "created_after=2026-01-02T00:00:00Z&created_before=2026-01-01T00:00:00Z",
        "label=",
        "label=:value",
        "label=a%20key",
        "label=cl%C3%A9:x",
        "label=%00",
        "label=key:%00",
        "label=key%0A",
        f"label={'k' * 64}",
        f"label={'k' * 64}:x",
        f"label=key:{'x' * 256}",
        f"label={'x' * 400}",
        "label=key:%ff",
        "label=key&label=a%20key",
        "&".join(f"label=k{number}" for number in range(11)),
        "&".join(f"label=k{number}" for number in range(31)),
        "sort=size",
        "sort=-created_at&sort=created_at",
        "cursor=",
        "cursor=tampered",
        f"cursor={'A' * 5000}",
    ],
)
@pytest.mark.parametrize("path", ["/composes", "/blueprints/{}/composes"])
def test_values_that_cannot_be_are_refused(
    client: Client, tenant: str, module_database: Parameters, path: str, query: str
) -> None:
    blueprint, _ = insert_blueprint_version(module_database, tenant, 1)
    refusal(client.get(f"{path.format(blueprint)}?{query}"), 400)


def test_cursors_that_do_not_belong_to_the_request_are_refused(
    client: Client, tenant: str, module_database: Parameters, service: Service
) -> None:
    for number in range(3):
        insert(module_database, tenant, number)
    link = listed(client, "?limit=1")["links"]["next"]
    (cursor,) = parse_qs(urlsplit(link).query)["cursor"]
    assert client.get(f"/composes?cursor={cursor}").status_code == 200
    refusal(client.get(f"/composes?cursor={cursor}&sort=image_name"), 400)
    refusal(client.get(f"/composes?cursor={cursor}&offset=1"), 400)
    refusal(client.get(f"/composes?cursor={cursor[:-4]}AAAA"), 400)
    another = service.client(uuid4().hex)
    assert cursor not in refusal(another.get(f"/composes?cursor={cursor}"), 400)
