"""Builds as a client sees them, against the running service."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import OPTIONS, compose_request, identity
from tests.support.databases import Parameters, away, session
from tests.support.domain_builders import FITTING
from tests.support.refusals import refusal
from tests.support.rows import counts, insert_blueprint_version, insert_compose, now, stored_row
from tests.support.service import Client, Service

LINKS = "/api/image-builder/v1.0/composes"
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def tenant() -> str:
    return uuid4().hex


@pytest.fixture
def client(service: Service, composer: StandInComposer, tenant: str) -> Client:
    return service.client(tenant)


@pytest.fixture(scope="module")
def without_composer(module_database: Parameters) -> Iterator[Service]:
    """A service whose composer is not there."""
    with Service(module_database, NOWHERE) as running:
        yield running


def listed(client: Client, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/composes{query}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def status_of(client: Client, compose_id: object) -> dict[str, Any]:
    answer = client.get(f"/composes/{compose_id}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def received(composer: StandInComposer, compose_id: str) -> Any:
    """What the composer was asked to build."""
    answer = requests.get(f"{composer.api_url}/composes/{compose_id}/metadata", timeout=5)
    return answer.json()["request"]


def unavailable(answer: requests.Response, *hosts: str) -> None:
    """The answer must be a 503 that says when to come again and names no host."""
    refusal(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    for host in (*hosts, "127.0.0.1", "localhost", "http"):
        assert host not in answer.text


def test_a_build_goes_from_pending_to_success(service: Service, composer: StandInComposer) -> None:
    client = service.client("watching")
    compose_id = client.compose(compose_request(image_name="mine"))
    seen = set()
    deadline = time.monotonic() + 10
    while "success" not in seen and time.monotonic() < deadline:
        seen.add(client.get(f"/composes/{compose_id}").json()["image_status"]["status"])
        time.sleep(0.05)
    assert {"pending", "building", "success"} <= seen


@pytest.mark.parametrize(("upload", "image_type"), FITTING)
def test_every_image_type_can_be_built_for_its_upload_target(
    client: Client, composer: StandInComposer, upload: str, image_type: str
) -> None:
    sent = compose_request(image_type, upload)
    compose_id = client.compose(sent)
    assert received(composer, compose_id)["image_request"]["image_type"] == FITTING[upload, image_type]
    (item,) = listed(client)["data"]
    assert item["id"] == compose_id
    assert item["request"]["image_requests"] == sent["image_requests"]


@pytest.mark.parametrize("image_type", ["ami", "rhel-edge-commit", "vhd"])
def test_an_older_name_of_an_image_type_is_echoed_as_sent(client: Client, image_type: str) -> None:
    upload = {"ami": "aws", "rhel-edge-commit": "aws.s3", "vhd": "azure"}[image_type]
    compose_id = client.compose(compose_request(image_type, upload))
    assert status_of(client, compose_id)["request"]["image_requests"][0]["image_type"] == image_type


def test_an_answer_to_a_new_build_is_its_id_and_nothing_else(client: Client) -> None:
    answer = client.post("/compose", compose_request())
    assert answer.status_code == 201
    assert answer.headers["Content-Type"] == "application/json"
    assert list(answer.json()) == ["id"]


def test_an_image_type_that_does_not_fit_the_target_is_refused(client: Client, composer: StandInComposer) -> None:
    answer = client.post("/compose", compose_request("aws", "azure"))
    assert refusal(answer, 400) == "Invalid image type for upload target"
    assert "POST /compose" not in composer.counters()


def test_an_architecture_the_distribution_lacks_is_refused(client: Client) -> None:
    answer = client.post("/compose", compose_request(distribution="hummingbird", image={"architecture": "aarch64"}))
    assert refusal(answer, 400) == "Architecture not supported"


# What is stored and echoed


def test_the_contracts_defaults_are_filled_in_stored_and_echoed(
    client: Client, composer: StandInComposer, module_database: Parameters
) -> None:
    customizations = {"files": [{"path": "/etc/a", "data": "x"}], "fips": {}}
    compose_id = client.compose(compose_request(customizations=customizations))
    file = {"path": "/etc/a", "data": "x", "ensure_parents": False, "data_encoding": "plain"}
    expected = {"files": [file], "fips": {"enabled": False}}
    assert stored_row(module_database, compose_id)["request"]["customizations"] == expected
    assert status_of(client, compose_id)["request"]["customizations"] == expected
    (item,) = listed(client)["data"]
    assert item["client_id"] == item["request"]["client_id"] == "api"


@pytest.mark.parametrize("client_id", ["api", "ui", "mcp"])
def test_the_client_is_the_one_the_body_names(client: Client, client_id: str) -> None:
    client.post("/compose", compose_request(client_id=client_id), headers={"X-ImageBuilder-ui": "true"})
    (item,) = listed(client)["data"]
    assert item["client_id"] == client_id


def test_what_the_contract_does_not_know_is_dropped_or_refused_but_never_kept(
    client: Client, composer: StandInComposer, module_database: Parameters
) -> None:
    request = compose_request(customizations={"users": [{"name": "u", "shoe_size": 44}], "kernel": {"append": "a"}})
    compose_id = client.compose(request)
    assert "shoe_size" not in stored_row(module_database, compose_id)["as_text"]
    assert "shoe_size" not in json.dumps(received(composer, compose_id))


def test_upload_options_are_kept_as_sent(client: Client, module_database: Parameters) -> None:
    options = {**OPTIONS["azure"], "of_my_own": {"nested": [1, 2.5]}}
    compose_id = client.compose(compose_request("azure", "azure", image={"options": options}))
    row = stored_row(module_database, compose_id)["request"]
    assert row["image_requests"][0]["upload_request"]["options"] == options
    shown = status_of(client, compose_id)["request"]
    assert shown["image_requests"][0]["upload_request"]["options"] == options


def test_a_row_holds_who_asked_and_when(client: Client, tenant: str, module_database: Parameters) -> None:
    row = stored_row(module_database, client.compose(compose_request(image_name="mine")))
    assert (row["org_id"], row["account_number"], row["email"]) == (tenant, "7", "u@example.com")
    assert (row["image_name"], row["client_id"], row["deleted"]) == ("mine", "api", False)
    assert abs(row["created_at"] - now()) < timedelta(seconds=30)


def test_a_service_accounts_row_holds_an_empty_email(
    service: Service, composer: StandInComposer, tenant: str, module_database: Parameters
) -> None:
    account = {"client_id": "c", "username": "service-account-c"}
    robot = service.client(tenant, type="ServiceAccount", user=None, account_number=None, service_account=account)
    row = stored_row(module_database, robot.compose(compose_request()))
    assert (row["email"], row["account_number"]) == ("", "")


def test_the_largest_size_comes_through_unchanged(client: Client, composer: StandInComposer) -> None:
    size = 2**64 - 1
    compose_id = client.compose(compose_request(image={"size": size}))
    assert received(composer, compose_id)["image_request"]["size"] == size
    assert listed(client)["data"][0]["request"]["image_requests"][0]["size"] == size


def test_text_comes_through_unchanged(client: Client, module_database: Parameters) -> None:
    name = '\u00fcber \U0001f680 \u202e \\u0000 "quoted" null'
    compose_id = client.compose(compose_request(image_name=name, customizations={"users": [{"name": "null"}]}))
    (item,) = listed(client)["data"]
    assert item["image_name"] == item["request"]["image_name"] == name
    assert stored_row(module_database, compose_id)["image_name"] == name


# Passwords


@pytest.mark.parametrize("password", ["a-plain-secret", "$6$0123456789abcdef$aHashThatIsOneAlready", "$2b$12$another"])
def test_no_answer_and_no_row_holds_a_password_or_its_hash(
    client: Client, composer: StandInComposer, module_database: Parameters, password: str
) -> None:
    users = [{"name": "with", "password": password}, {"name": "without", "ssh_key": "k"}, {"name": "p", "password": ""}]
    compose_id = client.compose(compose_request(customizations={"users": users}))
    theirs = received(composer, compose_id)["customizations"]["users"]
    row = stored_row(module_database, compose_id)
    status, page = client.get(f"/composes/{compose_id}"), client.get("/composes")
    for text in (row["as_text"], status.text, page.text):
        assert '"password"' not in text
        assert password not in text
        assert theirs[0]["password"] not in text
    has = [user["hasPassword"] for user in row["request"]["customizations"]["users"]]
    assert has == [True, False, False]
    for request in (status.json()["request"], page.json()["data"][0]["request"]):
        assert [user["hasPassword"] for user in request["customizations"]["users"]] == has


def test_a_plain_password_reaches_the_composer_hashed(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request(customizations={"users": [{"name": "u", "password": "secret"}]}))
    (user,) = received(composer, compose_id)["customizations"]["users"]
    assert re.fullmatch(r"\$6\$(rounds=5000\$)?[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{86}", user["password"])


def test_a_hash_the_composer_knows_reaches_it_as_it_is(client: Client, composer: StandInComposer) -> None:
    known = "$6$0123456789abcdef$hash"
    compose_id = client.compose(compose_request(customizations={"users": [{"name": "u", "password": known}]}))
    assert received(composer, compose_id)["customizations"]["users"][0]["password"] == known


def test_a_claim_to_have_a_password_is_ignored(client: Client, composer: StandInComposer) -> None:
    users = [{"name": "u", "hasPassword": True}, {"name": "v", "hasPassword": False, "password": "secret"}]
    compose_id = client.compose(compose_request(customizations={"users": users}))
    shown = status_of(client, compose_id)["request"]["customizations"]["users"]
    assert [user["hasPassword"] for user in shown] == [False, True]
    assert "hasPassword" not in json.dumps(received(composer, compose_id))


def test_a_refusal_does_not_repeat_a_password(client: Client) -> None:
    users = [{"name": "u", "password": {"my": "hidden-secret"}}, {"name": "v", "password": "$y$j9T$hidden-secret"}]
    for user in users:
        answer = client.post("/compose", compose_request(customizations={"users": [user]}))
        refusal(answer, 400)
        assert "hidden-secret" not in answer.text


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
        assert page["links"] == {
            "first": f"{LINKS}?limit={limit}&offset=0",
            "last": f"{LINKS}?limit={limit}&offset={last}",
        }
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


def test_following_pages_shows_each_build_once_newest_first(
    client: Client, tenant: str, module_database: Parameters
) -> None:
    made = [str(insert_compose(module_database, tenant, ago=timedelta(minutes=n))) for n in range(5)]
    seen = [item["id"] for offset in (0, 2, 4) for item in listed(client, f"?limit=2&offset={offset}")["data"]]
    assert seen == made


def test_past_the_end_the_list_is_empty_and_still_counts(
    client: Client, tenant: str, module_database: Parameters
) -> None:
    insert_compose(module_database, tenant)
    page = listed(client, "?offset=50")
    assert (page["meta"]["count"], page["data"]) == (1, [])


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=-1", "limit=x", "limit=", "offset=-1", "offset=x"])
def test_a_page_that_cannot_be_is_refused(client: Client, query: str) -> None:
    refusal(client.get(f"/composes?{query}"), 400)


def test_unknown_query_parameters_are_ignored(client: Client) -> None:
    assert listed(client, "?of=mine&blueprint_id=1")["data"] == []


def test_image_types_can_be_left_out(client: Client, tenant: str, module_database: Parameters) -> None:
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


def test_a_build_of_a_blueprint_tells_it_and_its_version(
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
def test_a_row_of_any_shape_is_answered(
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
    assert set(answers[0].json()["data"][0]) == {"id", "request", "created_at"}


def test_one_odd_row_does_not_spoil_the_list(client: Client, tenant: str, module_database: Parameters) -> None:
    for request in (*OLD_REQUESTS, [], "text", 7):
        insert_compose(module_database, tenant, request)
    assert len(listed(client)["data"]) == len(OLD_REQUESTS) + 3


@pytest.mark.parametrize(
    "request_text",
    [
        '{"image_requests": [{"size": 1%s}], "customizations": {"users": []}}' % ("0" * 400),
        '{"customizations": {"users": [], "x": %snull%s}}' % ('{"x": ' * 900, "}" * 900),
    ],
    ids=["a number nobody reads", "endless nesting"],
)
def test_a_row_that_only_postgresql_can_read_does_not_spoil_the_list(
    client: Client, tenant: str, module_database: Parameters, request_text: str
) -> None:
    compose_id = insert_compose(module_database, tenant)
    readable = str(insert_compose(module_database, tenant))
    with session(module_database) as connection:
        connection.execute("UPDATE composes SET request = %s::jsonb WHERE job_id = %s", (request_text, compose_id))
    assert {item["id"] for item in listed(client)["data"]} == {str(compose_id), readable}


def test_an_old_rows_user_has_a_password_where_one_was_stored(
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


def test_a_build_several_years_old_is_answered_by_its_id(
    client: Client, composer: StandInComposer, module_database: Parameters
) -> None:
    compose_id = client.compose(compose_request())
    with session(module_database) as connection:
        connection.execute("UPDATE composes SET created_at = '2019-01-02 03:04:05.6' WHERE job_id = %s", (compose_id,))
    assert listed(client)["data"] == []
    assert status_of(client, compose_id)["request"]["distribution"] == "centos-9"


# The status


@pytest.mark.parametrize("status", ["pending", "building", "uploading", "registering", "success", "failure"])
def test_each_of_the_composers_states_is_passed_on(client: Client, composer: StandInComposer, status: str) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(image_status={"status": status})
    assert status_of(client, compose_id)["image_status"] == {"status": status}


def test_progress_is_passed_on(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    progress = {"done": 2, "total": 4, "subprogress": {"done": 0, "total": 9}}
    composer.steer(image_status={"status": "building", "progress": progress})
    assert status_of(client, compose_id)["image_status"] == {"status": "building", "progress": progress}


def test_what_the_composer_leaves_empty_is_left_out(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(image_status={"status": "building", "progress": None, "upload_status": None, "error": None})
    assert status_of(client, compose_id)["image_status"] == {"status": "building"}


EVERY_OPTION = {
    "ami": "ami-1",
    "region": "r",
    "url": "https://x.example/?a=b&c=d",
    "image_name": "n",
    "project_id": "p",
    "else": 1,
}
OF_TYPE = {
    "aws": {"ami", "region"},
    "aws.s3": {"url"},
    "gcp": {"image_name", "project_id"},
    "azure": {"image_name"},
    "oci.objectstorage": {"url"},
}


@pytest.mark.parametrize("upload", OF_TYPE)
def test_the_options_of_an_upload_are_those_of_its_type(client: Client, composer: StandInComposer, upload: str) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(
        image_status={
            "status": "success",
            "upload_status": {"status": "success", "type": upload, "options": EVERY_OPTION},
        }
    )
    assert status_of(client, compose_id)["image_status"]["upload_status"] == {
        "status": "success",
        "type": upload,
        "options": {name: EVERY_OPTION[name] for name in OF_TYPE[upload]},
    }


INNERMOST = {"id": 22, "reason": "DNF error", "details": "no match"}
ERRORS: list[tuple[Any, Any]] = [
    (INNERMOST, INNERMOST),
    ({"id": 22, "reason": "r"}, {"id": 22, "reason": "r"}),
    ({"id": 5, "reason": "outer", "details": [INNERMOST, {"id": 1, "reason": "second"}]}, INNERMOST),
    ({"id": 9, "reason": "outer", "details": INNERMOST}, INNERMOST),
    ({"id": 26, "reason": "o", "details": [{"id": 28, "reason": "o", "details": [INNERMOST]}]}, INNERMOST),
    ({"id": 5, "reason": "o", "details": "just text"}, {"id": 5, "reason": "o", "details": "just text"}),
    ({"id": 5, "reason": "o", "details": []}, {"id": 5, "reason": "o", "details": []}),
    ({"id": 5, "reason": "o", "details": {"id": 7}}, {"id": 5, "reason": "o", "details": {"id": 7}}),
    ({"id": 5, "reason": "o", "details": ["text"]}, {"id": 5, "reason": "o", "details": ["text"]}),
    ({"id": 5, "reason": "o", "details": [None]}, {"id": 5, "reason": "o", "details": [None]}),
    ({"id": 5, "reason": "o"}, {"id": 5, "reason": "o"}),
    ({"id": 28, "reason": "o", "details": [{"id": 5, "reason": "i"}]}, {"id": 5, "reason": "i"}),
    ({"id": 10, "reason": "o", "details": [INNERMOST]}, {"id": 10, "reason": "o", "details": [INNERMOST]}),
]


@pytest.mark.parametrize(("theirs", "ours"), ERRORS, ids=range(len(ERRORS)))
def test_an_error_is_unwrapped_to_the_innermost(
    client: Client, composer: StandInComposer, theirs: Any, ours: Any
) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(image_status={"status": "failure", "error": theirs})
    assert status_of(client, compose_id)["image_status"] == {"status": "failure", "error": ours}


# The metadata


def test_a_built_images_packages_are_told(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request(customizations={"packages": ["tmux"]}))
    deadline = time.monotonic() + 10
    while status_of(client, compose_id)["image_status"]["status"] != "success" and time.monotonic() < deadline:
        time.sleep(0.05)
    metadata = client.get(f"/composes/{compose_id}/metadata").json()
    assert set(metadata) == {"packages"}
    names = {"type", "name", "version", "release", "epoch", "arch", "sigmd5", "signature"}
    assert all(set(package) <= names for package in metadata["packages"])
    assert "tmux" in {package["name"] for package in metadata["packages"]}


def test_a_built_commit_is_told(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request("edge-commit"))
    deadline = time.monotonic() + 10
    while status_of(client, compose_id)["image_status"]["status"] != "success" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.get(f"/composes/{compose_id}/metadata").json()["ostree_commit"]


# Deleting, and whose builds they are


def test_a_deleted_build_is_hidden_from_then_on(
    client: Client, tenant: str, composer: StandInComposer, module_database: Parameters
) -> None:
    compose_id = client.compose(compose_request())
    answer = client.delete(f"/composes/{compose_id}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert listed(client)["data"] == []
    refusal(client.get(f"/composes/{compose_id}"), 404)
    refusal(client.get(f"/composes/{compose_id}/metadata"), 404)
    assert counts(module_database, tenant) == (1, 0)


def test_deleting_again_is_as_good_as_the_first_time(client: Client) -> None:
    compose_id = client.compose(compose_request())
    for _ in range(2):
        answer = client.delete(f"/composes/{compose_id}")
        assert (answer.status_code, answer.content) == (200, b"")


def test_somebody_elses_build_is_as_unknown_as_one_that_never_was(
    client: Client, service: Service, composer: StandInComposer
) -> None:
    compose_id = service.client("its-owner").compose(compose_request())
    never = uuid4()
    for method, path in (("GET", "/composes/{}"), ("GET", "/composes/{}/metadata"), ("DELETE", "/composes/{}")):
        theirs = client.request(method, path.format(compose_id))
        unknown = client.request(method, path.format(never))
        assert refusal(theirs, 404) == refusal(unknown, 404)
    assert status_of(service.client("its-owner"), compose_id)


def test_an_account_number_is_not_the_organization_of_the_same_digits(
    service: Service, composer: StandInComposer
) -> None:
    number = str(uuid4().int)
    compose_id = service.client(number).compose(compose_request())
    by_account = Client(service.url, {"x-rh-identity": identity("", account_number=number)})
    assert listed(by_account)["data"] == []
    refusal(by_account.get(f"/composes/{compose_id}"), 404)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("compose_id", ["1", "not-a-uuid", "0" * 32 + "x", "%00", "null"])
def test_an_id_that_is_no_uuid_is_refused(client: Client, method: str, compose_id: str) -> None:
    refusal(client.request(method, f"/composes/{compose_id}"), 400)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_nobody_is_refused(service: Service, method: str) -> None:
    path = "/compose" if method == "POST" else f"/composes/{uuid4()}"
    refusal(Client(service.url, {}).request(method, path), 401)


# The composer refuses, forgets, or is away


def test_what_the_composer_forgot_is_not_found(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(forget=True)
    refusal(client.get(f"/composes/{compose_id}"), 404)
    refusal(client.get(f"/composes/{compose_id}/metadata"), 404)
    assert len(listed(client)["data"]) == 1


@pytest.mark.parametrize(
    "raw",
    [
        {"status": 500, "body": "<h1>at composer.internal.example</h1>"},
        {"status": 418, "body": "composer.internal.example"},
        {"status": 200, "body": "<h1>composer.internal.example</h1>"},
        {"status": 200, "body": {"image_status": {"status": 7}}, "content_type": "application/json"},
        {"status": 200, "body": {}, "content_type": "application/json"},
        {"status": 200, "body": [], "content_type": "application/json"},
        {"status": 302, "body": "composer.internal.example"},
    ],
    ids=str,
)
def test_an_answer_of_the_composer_that_is_of_no_use_is_its_absence(
    client: Client, composer: StandInComposer, raw: dict[str, Any]
) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(status_raw=raw)
    unavailable(client.get(f"/composes/{compose_id}"), "internal.example")


REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"status": 400, "id": "10", "reason": "r", "details": "host x"}, 400, "Error resolving OSTree repo"),
    ({"status": 400, "id": "24", "reason": "BaseURL must be given"}, 400, "BaseURL must be given"),
    ({"status": 400, "id": "29", "reason": "gpgkey must be given"}, 400, "gpgkey must be given"),
    (
        {"status": 400, "id": "30", "reason": "Not valid", "details": "why"},
        500,
        "Failed posting compose request to osbuild-composer. Not valid: why",
    ),
    ({"status": 500, "id": "1000", "reason": "Oops"}, 500, "Failed posting compose request to osbuild-composer. Oops"),
]


@pytest.mark.parametrize(("theirs", "status", "detail"), REFUSALS, ids=[each[0]["id"] for each in REFUSALS])
def test_a_refusal_of_the_composer_is_told_and_nothing_is_kept(
    client: Client,
    composer: StandInComposer,
    tenant: str,
    module_database: Parameters,
    theirs: dict[str, Any],
    status: int,
    detail: str,
) -> None:
    composer.steer(post_error=theirs)
    answer = client.post("/compose", compose_request())
    assert answer.status_code == status, answer.text
    (error,) = answer.json()["errors"]
    assert error["detail"].startswith(detail)
    assert error["title"] == str(status)
    assert counts(module_database, tenant) == (0, 0)
    assert listed(client)["data"] == []


def test_a_refusal_that_is_not_the_composers_own_is_not_repeated(client: Client, composer: StandInComposer) -> None:
    composer.steer(post_raw={"status": 403, "body": "<h1>proxy.internal.example</h1>"})
    detail = refusal(client.post("/compose", compose_request()), 500)
    assert detail == "Failed posting compose request to osbuild-composer."


def test_without_a_composer_nothing_is_started_and_nothing_counted(
    without_composer: Service, tenant: str, module_database: Parameters
) -> None:
    client = without_composer.client(tenant)
    unavailable(client.post("/compose", compose_request()))
    assert counts(module_database, tenant) == (0, 0)


def test_without_a_composer_lists_and_deleting_go_on(
    without_composer: Service, tenant: str, module_database: Parameters
) -> None:
    client = without_composer.client(tenant)
    compose_id = insert_compose(module_database, tenant)
    unavailable(client.get(f"/composes/{compose_id}"))
    unavailable(client.get(f"/composes/{compose_id}/metadata"))
    refusal(client.get(f"/composes/{uuid4()}"), 404)
    assert listed(client)["meta"]["count"] == 1
    assert client.delete(f"/composes/{compose_id}").status_code == 200
    refusal(client.get(f"/composes/{compose_id}"), 404)


def test_a_gateway_without_its_composer_is_its_absence_and_is_not_asked_for_ever(
    database: Parameters, composer: StandInComposer
) -> None:
    with Service(database, composer.url) as service:
        client = service.client()
        compose_id = client.compose(compose_request())
        composer.steer(status_raw={"status": 502, "body": "<h1>composer.internal.example</h1>"})
        for _ in range(8):
            unavailable(client.get(f"/composes/{compose_id}"), "internal.example")
        assert composer.counters()["GET /composes/{id}"] < 24
        assert listed(client)["meta"]["count"] == 1


# The database is away


def test_while_the_database_is_away_everybody_is_told_to_come_again(
    database: Parameters, postgres: Parameters, composer: StandInComposer
) -> None:
    with Service(database, composer.url) as service:
        client = service.client()
        compose_id = client.compose(compose_request())
        with away(database, postgres):
            for method, path in (
                ("GET", "/composes"),
                ("GET", f"/composes/{compose_id}"),
                ("DELETE", f"/composes/{compose_id}"),
            ):
                unavailable(client.request(method, path), database["dbname"], "FATAL")
            unavailable(client.post("/compose", compose_request()), database["dbname"])
            assert composer.counters()["POST /compose"] == 1
            assert client.get("/version").status_code == 200
        deadline = time.monotonic() + 10
        while client.get("/composes").status_code != 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert listed(client)["meta"]["count"] == 1
