"""POST /compose: its answers, the stored rows, and the requests to the composer, against the running service."""

from __future__ import annotations

import json
import re
import secrets
from datetime import timedelta
from typing import Any

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import blueprint, kept
from tests.support.builders import OPTIONS, compose_request
from tests.support.composes import listed, status_of
from tests.support.databases import Parameters
from tests.support.domain_builders import FITTING
from tests.support.refusals import refusal
from tests.support.rows import counts, now, stored_row
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE


def received(composer: StandInComposer, compose_id: str) -> Any:
    """The composer's request of a build."""
    answer = requests.get(f"{composer.api_url}/composes/{compose_id}/metadata", timeout=PATIENCE)
    return answer.json()["request"]


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


def test_the_answer_to_a_new_build_is_its_id(client: Client) -> None:
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


def test_the_defaults_of_the_contract_are_added_stored_and_answered(
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
def test_the_client_is_taken_from_the_body(client: Client, client_id: str) -> None:
    client.post("/compose", compose_request(client_id=client_id), headers={"X-ImageBuilder-ui": "true"})
    (item,) = listed(client)["data"]
    assert item["client_id"] == client_id


def test_unknown_fields_are_dropped_or_refused_but_never_stored(
    client: Client, composer: StandInComposer, module_database: Parameters
) -> None:
    request = compose_request(customizations={"users": [{"name": "u", "shoe_size": 44}], "kernel": {"append": "a"}})
    compose_id = client.compose(request)
    assert "shoe_size" not in stored_row(module_database, compose_id)["as_text"]
    assert "shoe_size" not in json.dumps(received(composer, compose_id))


def test_upload_options_are_stored_unchanged(client: Client, module_database: Parameters) -> None:
    options = {**OPTIONS["azure"], "of_my_own": {"nested": [1, 2.5]}}
    compose_id = client.compose(compose_request("azure", "azure", image={"options": options}))
    row = stored_row(module_database, compose_id)["request"]
    assert row["image_requests"][0]["upload_request"]["options"] == options
    shown = status_of(client, compose_id)["request"]
    assert shown["image_requests"][0]["upload_request"]["options"] == options


def test_a_row_has_the_caller_and_the_time_of_the_request(
    client: Client, tenant: str, module_database: Parameters
) -> None:
    row = stored_row(module_database, client.compose(compose_request(image_name="mine")))
    assert (row["org_id"], row["account_number"], row["email"]) == (tenant, "7", "u@example.com")
    assert (row["image_name"], row["client_id"], row["deleted"]) == ("mine", "api", False)
    assert abs(row["created_at"] - now()) < timedelta(seconds=30)


@pytest.mark.parametrize("email", ["e" * 5_000 + "@example.com", "a\n@example.com"], ids=ascii)
def test_an_email_address_that_cannot_be_stored_does_not_fail_a_build(
    service: Service, composer: StandInComposer, tenant: str, module_database: Parameters, email: str
) -> None:
    compose_id = service.client(tenant, user={"email": email}).compose(compose_request())
    assert stored_row(module_database, compose_id)["email"] == ""


def test_an_organization_with_the_longest_id_can_build_and_save_blueprints(
    service: Service, composer: StandInComposer
) -> None:
    # What an index holds of it cannot be compressed.
    client = service.client(secrets.token_hex(128)[:255])
    name = "".join(map(chr, secrets.SystemRandom().sample(range(0x10000, 0x10400), 100)))
    client.compose(compose_request())
    answer = client.post("/blueprints", blueprint(name), headers={"Idempotency-Key": secrets.token_hex(127)})
    assert answer.status_code == 201
    refusal(service.client(secrets.token_hex(4_500)).post("/compose", compose_request()), 401)


def test_the_row_of_a_service_account_has_an_empty_email(
    service: Service, composer: StandInComposer, tenant: str, module_database: Parameters
) -> None:
    account = {"client_id": "c", "username": "service-account-c"}
    robot = service.client(tenant, type="ServiceAccount", user=None, account_number=None, service_account=account)
    row = stored_row(module_database, robot.compose(compose_request()))
    assert (row["email"], row["account_number"]) == ("", "")


def test_the_largest_size_reaches_the_composer_unchanged(client: Client, composer: StandInComposer) -> None:
    size = 2**64 - 1
    compose_id = client.compose(compose_request(image={"size": size}))
    assert received(composer, compose_id)["image_request"]["size"] == size
    assert listed(client)["data"][0]["request"]["image_requests"][0]["size"] == size


def test_text_reaches_the_composer_unchanged(client: Client, module_database: Parameters) -> None:
    name = '\u00fcber \U0001f680 \u202e \\u0000 "quoted" null'
    compose_id = client.compose(compose_request(image_name=name, customizations={"users": [{"name": "null"}]}))
    (item,) = listed(client)["data"]
    assert item["image_name"] == item["request"]["image_name"] == name
    assert stored_row(module_database, compose_id)["image_name"] == name


# Passwords


@pytest.mark.parametrize("password", ["a-plain-secret", "$6$0123456789abcdef$aHashThatIsOneAlready", "$2b$12$another"])
def test_no_answer_and_no_row_contains_a_password_or_its_hash(
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


def test_a_hash_that_the_composer_supports_reaches_it_unchanged(client: Client, composer: StandInComposer) -> None:
    known = "$6$0123456789abcdef$hash"
    compose_id = client.compose(compose_request(customizations={"users": [{"name": "u", "password": known}]}))
    assert received(composer, compose_id)["customizations"]["users"][0]["password"] == known


def test_has_password_in_a_request_is_ignored(client: Client, composer: StandInComposer) -> None:
    users = [{"name": "u", "hasPassword": True}, {"name": "v", "hasPassword": False, "password": "secret"}]
    compose_id = client.compose(compose_request(customizations={"users": users}))
    shown = status_of(client, compose_id)["request"]["customizations"]["users"]
    assert [user["hasPassword"] for user in shown] == [False, True]
    assert "hasPassword" not in json.dumps(received(composer, compose_id))


def test_an_error_does_not_repeat_a_password(client: Client) -> None:
    users = [{"name": "u", "password": {"my": "hidden-secret"}}, {"name": "v", "password": "$y$j9T$hidden-secret"}]
    for user in users:
        answer = client.post("/compose", compose_request(customizations={"users": [user]}))
        refusal(answer, 400)
        assert "hidden-secret" not in answer.text


# The composer refuses


FAILED = "Failed posting compose request to osbuild-composer."
# The composer's error ids, by whose fault they are.
OF_THE_USER = (4, 5, 6, 7, 8, 9, 11, 25, 27, 30, 32, 35, 37, 38, 39, 40, 41, 42)
OF_THE_SERVICE = {2: 403, 3: 415, 20: 400, 21: 404, 22: 405, 23: 406, 28: 400, 401: 401}
OF_THE_COMPOSER = (*range(1000, 1024), *range(10000, 10004))
REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"status": 400, "id": "10", "reason": "r", "details": "host x"}, 400, "Error resolving OSTree repo"),
    ({"status": 400, "id": "24", "reason": "BaseURL must be given", "details": "x"}, 400, "BaseURL must be given"),
    ({"status": 400, "id": "29", "reason": "gpgkey must be given", "details": "x"}, 400, "gpgkey must be given"),
    ({"status": 400, "id": "30", "reason": "Not valid"}, 400, "Not valid"),
    ({"status": 400, "id": "4711", "reason": "New", "details": ["a"]}, 400, 'New: ["a"]'),
    ({"status": 409, "id": "4711", "reason": "New", "details": "x"}, 500, f"{FAILED} New: x"),
    ({"status": 500, "id": "4711", "reason": "New", "details": "x"}, 500, f"{FAILED} New: x"),
    ({"status": 500, "id": "1000", "reason": "Oops"}, 500, f"{FAILED} Oops"),
    *(({"status": 400, "id": str(each), "reason": "r", "details": "d"}, 400, "r: d") for each in OF_THE_USER),
    *(
        ({"status": status, "id": str(each), "reason": "r", "details": "d"}, 500, f"{FAILED} r: d")
        for each, status in OF_THE_SERVICE.items()
    ),
    *(
        ({"status": 500, "id": str(each), "reason": "r", "details": "d"}, 500, f"{FAILED} r: d")
        for each in OF_THE_COMPOSER
    ),
]


@pytest.mark.parametrize(
    ("theirs", "status", "detail"), REFUSALS, ids=lambda each: str(each.get("id")) if isinstance(each, dict) else ""
)
def test_a_refusal_of_the_composer_is_answered_and_nothing_is_stored(
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
    assert error["detail"] == detail
    assert error["title"] == str(status)
    assert counts(module_database, tenant) == (0, 0)
    assert listed(client)["data"] == []


UNSUPPORTED = compose_request("network-installer", customizations={"packages": ["vim"]})
UNSIGNED = compose_request(
    customizations={"payload_repositories": [{"baseurl": "https://example.com", "rhsm": False, "check_gpg": True}]}
)


@pytest.mark.parametrize(
    ("request_", "detail"),
    [
        (UNSUPPORTED, "Failed to get manifest: 'network-installer': customizations.packages: not supported"),
        (UNSIGNED, "Invalid repository, when check_gpg is set, gpgkey must be specified"),
    ],
    ids=["a customization of another image type", "a repository without a key"],
)
def test_a_request_that_the_composer_cannot_build_is_the_user_s_error(
    client: Client, request_: dict[str, Any], detail: str
) -> None:
    assert refusal(client.post("/compose", request_), 400) == detail
    document = {name: request_[name] for name in ("distribution", "image_requests", "customizations")}
    blueprint_id = kept(client, {"name": "b", "description": "", **document})
    assert refusal(client.post(f"/blueprints/{blueprint_id}/compose"), 400) == detail


def test_a_refusal_is_not_stored_for_an_idempotency_key(client: Client, composer: StandInComposer) -> None:
    headers = {"Idempotency-Key": "one"}
    composer.steer(post_error={"status": 400, "id": "11", "reason": "no"})
    assert refusal(client.post("/compose", compose_request(), headers=headers), 400) == "no"
    composer.steer(post_error=None)
    assert client.post("/compose", compose_request(), headers=headers).status_code == 201


def test_an_error_that_does_not_come_from_the_composer_is_not_repeated(
    client: Client, composer: StandInComposer
) -> None:
    composer.steer(post_raw={"status": 403, "body": "<h1>proxy.internal.example</h1>"})
    detail = refusal(client.post("/compose", compose_request()), 500)
    assert detail == "Failed posting compose request to osbuild-composer."
