"""The list of composes, its pages and its oldest rows, against the running service."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.composes import listed, status_of
from tests.support.counts import write_without_triggers
from tests.support.databases import Parameters, session
from tests.support.refusals import refusal
from tests.support.rows import insert_blueprint_version, insert_compose, now
from tests.support.service import Client, Service

LINKS = "/api/image-builder/v1.0/composes"


# The list


def test_an_empty_list_has_links_and_no_data(client: Client) -> None:
    assert listed(client) == {
        "meta": {"count": 0},
        "links": {"first": f"{LINKS}?limit=100&offset=0", "last": f"{LINKS}?limit=100&offset=0"},
        "data": [],
    }


@pytest.mark.parametrize(
    ("count", "limit", "last"), [(5, 2, 4), (4, 2, 2), (2, 2, 0), (1, 2, 0), (5, 100, 0), (5, 1, 4)]
)
def test_links_lead_to_the_first_and_the_last_page(
    client: Client, tenant: str, module_database: Parameters, count: int, limit: int, last: int
) -> None:
    for _ in range(count):
        insert_compose(module_database, tenant)
    for base in ("/api/image-builder/v1", "/api/image-builder/v1.0", "/api/v1/image-builder"):
        page = client.get(f"/composes?limit={limit}&offset=1", base=base).json()
        assert page["links"]["first"] == f"{LINKS}?limit={limit}&offset=0"
        assert page["links"]["last"] == f"{LINKS}?limit={limit}&offset={last}"
        assert page["meta"]["count"] == count
    assert len(client.get(page["links"]["last"], base="").json()["data"]) == count - last


def test_links_repeat_the_filters_in_alphabetical_order(client: Client) -> None:
    page = listed(client, "?offset=0&limit=7&ignoreImageTypes=ami&ignoreImageTypes=guest-image")
    for link in page["links"].values():
        assert [part.split("=")[0] for part in urlsplit(link).query.split("&")] == [
            "ignoreImageTypes",
            "ignoreImageTypes",
            "limit",
            "offset",
        ]
        assert parse_qs(urlsplit(link).query)["ignoreImageTypes"] == ["ami", "guest-image"]


def test_following_the_pages_shows_each_compose_once_newest_first(
    client: Client, tenant: str, module_database: Parameters
) -> None:
    made = [str(insert_compose(module_database, tenant, ago=timedelta(minutes=n))) for n in range(5)]
    seen = [item["id"] for offset in (0, 2, 4) for item in listed(client, f"?limit=2&offset={offset}")["data"]]
    assert seen == made


def test_a_page_past_the_end_is_empty_and_has_the_count(
    client: Client, tenant: str, module_database: Parameters
) -> None:
    insert_compose(module_database, tenant)
    page = listed(client, "?offset=50")
    assert (page["meta"]["count"], page["data"]) == (1, [])


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=-1", "limit=x", "limit=", "offset=-1", "offset=x"])
def test_invalid_page_parameters_are_refused(client: Client, query: str) -> None:
    refusal(client.get(f"/composes?{query}"), 400)


def test_unknown_query_parameters_are_ignored(client: Client) -> None:
    assert listed(client, "?of=mine&blueprint=1")["data"] == []


def test_image_types_can_be_ignored(client: Client, tenant: str, module_database: Parameters) -> None:
    for image_type in ("ami", "aws", "guest-image"):
        insert_compose(module_database, tenant, compose_request(image_type))
    page = listed(client, "?ignoreImageTypes=aws&ignoreImageTypes=guest-image")
    assert page["meta"]["count"] == 1
    assert page["data"][0]["request"]["image_requests"][0]["image_type"] == "ami"


def test_times_are_utc_in_whole_seconds(client: Client, composer: StandInComposer) -> None:
    client.compose(compose_request())
    created_at = listed(client)["data"][0]["created_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created_at)
    assert abs(datetime.fromisoformat(created_at).replace(tzinfo=None) - now()) < timedelta(seconds=30)


def test_a_compose_of_a_blueprint_names_the_blueprint_and_its_version(
    client: Client, tenant: str, module_database: Parameters
) -> None:
    blueprint, version = insert_blueprint_version(module_database, tenant, 4)
    insert_compose(module_database, tenant, blueprint_version_id=version)
    (item,) = listed(client)["data"]
    assert (item["blueprint_id"], item["blueprint_version"]) == (str(blueprint), 4)


# Old rows

OLD_REQUESTS: list[Any] = [
    compose_request(customizations={"users": [{"name": "u", "password": "old-secret", "ssh_key": "k"}]}),
    compose_request(customizations={"users": [{"name": "u", "password": "", "hasPassword": True}]}),
    compose_request(customizations={"users": [{"name": "u", "hasPassword": True, "password": None}]}),
    compose_request(customizations={"users": None, "packages": None}, image_name=None),
    compose_request("no-longer-known", image={"upload_request": {"type": "nowhere", "options": None}}),
    {**compose_request(), "image_name": None, "client_id": "cli-of-old", "of_long_ago": {"a": [1]}},
    {"distribution": "rhel-7", "image_requests": []},
    {"image_requests": None, "customizations": {"users": [None, "u", 7]}},
    {"customizations": {"users": {"name": "u", "password": "old-secret"}}},
    {"customizations": []},
    {},
]


@pytest.mark.parametrize("request_of_old", OLD_REQUESTS, ids=range(len(OLD_REQUESTS)))
def test_a_row_with_a_request_of_any_shape_is_answered(
    client: Client, composer: StandInComposer, tenant: str, module_database: Parameters, request_of_old: Any
) -> None:
    compose_id = client.compose(compose_request())  # the composer has to know it
    with session(module_database) as connection:
        connection.execute(
            "UPDATE composes SET request = %s, email = NULL, image_name = NULL, client_id = NULL, account_number = '', "
            "created_at = created_at - interval '13 days' WHERE job_id = %s",
            (json.dumps(request_of_old), compose_id),
        )
    answers = client.get("/composes"), client.get(f"/composes/{compose_id}")
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert "old-secret" not in answer.text
        assert '"password"' not in answer.text
        assert "null" not in answer.text
    assert set(answers[0].json()["data"][0]) - {"image_status"} == {"id", "request", "created_at", "created_by"}


def test_one_unusual_row_does_not_break_the_list(client: Client, tenant: str, module_database: Parameters) -> None:
    for request in (*OLD_REQUESTS, [], "text", 7):
        insert_compose(module_database, tenant, request)
    assert len(listed(client)["data"]) == len(OLD_REQUESTS) + 3


@pytest.mark.parametrize(
    "request_text",
    [
        '{"image_requests": [{"size": 1%s}], "customizations": {"users": []}}' % ("0" * 400),
        '{"customizations": {"users": [], "x": ' + '{"x": ' * 900 + "null" + "}" * 900 + "}}",
    ],
    ids=["a number nobody reads", "endless nesting"],
)
def test_a_row_that_only_postgresql_can_parse_does_not_break_the_list(
    client: Client, tenant: str, module_database: Parameters, request_text: str
) -> None:
    compose_id = insert_compose(module_database, tenant)
    readable = str(insert_compose(module_database, tenant))
    with session(module_database) as connection:
        connection.execute("UPDATE composes SET request = %s::jsonb WHERE job_id = %s", (request_text, compose_id))
    assert {item["id"] for item in listed(client)["data"]} == {str(compose_id), readable}


def test_a_user_of_an_older_row_has_a_password_if_one_was_stored(
    client: Client, tenant: str, module_database: Parameters
) -> None:
    users = [{"name": "a", "password": "p"}, {"name": "b", "password": ""}, {"name": "c", "hasPassword": True}]
    insert_compose(module_database, tenant, compose_request(customizations={"users": users}))
    shown = listed(client)["data"][0]["request"]["customizations"]["users"]
    assert shown == [
        {"name": "a", "hasPassword": True},
        {"name": "b", "hasPassword": False},
        {"name": "c", "hasPassword": True},
    ]


@pytest.mark.parametrize("restored", [False, True], ids=["written", "restored without triggers"])
def test_a_large_request_of_an_older_row_is_answered_without_its_password(
    client: Client, composer: StandInComposer, tenant: str, module_database: Parameters, restored: bool
) -> None:
    files = [{"path": "/etc/a", "data": "d" * 100_000, "user": None}]
    users = [{"name": "a", "password": "old-secret"}]
    build = client.compose(compose_request())
    with session(module_database) as connection:
        if restored:
            write_without_triggers(connection)
            connection.execute(
                "UPDATE composes SET request_size = NULL, request_as_shown = NULL WHERE job_id = %s", (build,)
            )
        connection.execute(
            "UPDATE composes SET request = %s::jsonb WHERE job_id = %s",
            (json.dumps(compose_request(customizations={"files": files, "users": users})), build),
        )
    shown = compose_request(
        customizations={
            "files": [{"path": "/etc/a", "data": "d" * 100_000}],
            "users": [{"name": "a", "hasPassword": True}],
        }
    )
    (item,) = listed(client)["data"]
    assert (item["request"], "shortened" in item) == (shown, False)
    assert status_of(client, build)["request"] == shown


def test_a_page_is_not_larger_than_its_configured_limit(
    module_database: Parameters, composer: StandInComposer, tenant: str
) -> None:
    for hours in range(3):
        files = [{"path": "/etc/a", "data": "d" * 900_000}]
        insert_compose(
            module_database, tenant, compose_request(customizations={"files": files}), ago=timedelta(hours=hours)
        )
    with Service(module_database, composer.url, environment={"MAX_LIST_BYTES": str(2 * 1024 * 1024)}) as service:
        answer = service.client(tenant).get("/composes")
    assert len(answer.content) < 2 * 1024 * 1024
    items = answer.json()["data"]
    assert [item.get("shortened") for item in items].count(True) == 1
    assert len(items) == 3


def test_a_compose_of_several_years_ago_is_answered_by_its_id(
    client: Client, composer: StandInComposer, module_database: Parameters
) -> None:
    compose_id = client.compose(compose_request())
    with session(module_database) as connection:
        connection.execute("UPDATE composes SET created_at = '2019-01-02 03:04:05.6' WHERE job_id = %s", (compose_id,))
    assert listed(client)["data"] == []
    assert status_of(client, compose_id)["request"]["distribution"] == "centos-9"
