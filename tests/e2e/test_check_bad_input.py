"""Checks of requests with faults: clear answers that list all faults, no stored rows, and no use of the quota."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform import sample_data
from adapters.embedded.platform.process import StandInPlatform
from tests.support.blueprints import blueprint
from tests.support.builders import compose_request
from tests.support.databases import Parameters, query
from tests.support.refusals import refusal
from tests.support.service import Client, Service

CHECK = "/compose/check"
# Tables that the service changes by itself.
UNRELATED = ("reconciler", "status_watcher")
UNKNOWN = str(uuid4())


def count_rows(database: Parameters) -> dict[str, int]:
    names = [
        name
        for (name,) in query(database, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        if name not in UNRELATED
    ]
    return {name: query(database, f"SELECT count(*) FROM {name}")[0][0] for name in names}  # noqa: S608


@pytest.fixture(scope="module")
def others_blueprint(platform_service: Service) -> str:
    """The id of a blueprint of an organization that no test uses."""
    return str(platform_service.client(uuid4().hex).post("/blueprints", blueprint(uuid4().hex)).json()["id"])


@pytest.fixture(autouse=True)
def unchanged(
    others_blueprint: str, module_database: Parameters, client: Client, composer: StandInComposer
) -> Iterator[None]:
    """Nothing is stored, reserved or built in any of these tests."""
    rows, quota, builds = count_rows(module_database), client.get("/quota").json(), composer.counters()
    yield
    assert count_rows(module_database) == rows
    assert client.get("/quota").json() == quota
    assert composer.counters().get("POST /compose", 0) == builds.get("POST /compose", 0)


@pytest.fixture
def client(platform_service: Service, composer: StandInComposer, platform: StandInPlatform, tenant: str) -> Client:
    return platform_service.client(tenant)


def problems(client: Client, body: Any) -> dict[str, str]:
    """The codes of the problems by path."""
    answer = client.post(CHECK, body)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document["valid"] is not any(each["severity"] == "error" for each in document["problems"])
    return {each["path"]: each["code"] for each in document["problems"]}


@pytest.mark.parametrize("body", ["", "[]", "{", "7", "null", '"text"'])
def test_a_body_that_is_no_object_is_refused(client: Client, body: str) -> None:
    answer = client.request("POST", CHECK, data=body, headers={"Content-Type": "application/json"})
    refusal(answer, 400)


@pytest.mark.parametrize("body", [{}, {"distribution": "centos-9"}, {"image_requests": []}, {"image_requests": [7]}])
def test_an_object_that_is_no_request_is_answered_with_its_faults(client: Client, body: dict[str, Any]) -> None:
    found = problems(client, body)
    assert "invalid-value" in found.values()
    assert found["customizations.packages"] == "not-checked"


def test_faults_of_the_schema_name_the_element_beside_those_of_the_rules_and_of_the_packages(client: Client) -> None:
    missing = f"no-such-{uuid4().hex}"
    body = compose_request(
        image={"size": "large"},
        customizations={
            "packages": ["nginx", missing],
            "hostname": 7,
            "services": {"enabled": ["a", "b", "c", 7]},
            "users": [{"name": "alice", "ssh_key": "k"}, {"name": "-bad", "ssh_key": "k"}],
        },
    )
    assert problems(client, body) == {
        "image_requests[0].size": "invalid-value",
        "customizations.hostname": "invalid-value",
        "customizations.services.enabled[3]": "invalid-value",
        "customizations.users[1].name": "rule-violated",
        "customizations.packages[1]": "packages-not-found",
    }


def test_a_package_that_is_no_text_is_named_by_its_place_and_nothing_is_resolved(client: Client) -> None:
    body = compose_request(customizations={"packages": ["nginx", "git", "vim", 7]})
    assert problems(client, body) == {
        "customizations.packages[3]": "invalid-value",
        "customizations.packages": "not-checked",
    }


def test_faults_of_the_image_do_not_hide_those_of_packages_and_options(client: Client) -> None:
    body = compose_request(
        "aws",
        "aws",
        image={"size": 100 * 1024**4, "options": {}},
        customizations={
            "packages": [f"no-such-{uuid4().hex}"],
            "files": [{"path": "/etc/a", "data": "%", "data_encoding": "base64"}],
        },
    )
    assert problems(client, body) == {
        "image_requests[0].size": "invalid-request",
        "image_requests[0].upload_request": "invalid-request",
        "customizations.files[0].data": "invalid-request",
        "customizations.packages[0]": "packages-not-found",
    }


def test_faults_of_labels_and_of_snapshots_do_not_hide_those_of_the_image_and_of_options(client: Client) -> None:
    body = compose_request(
        "aws",
        "aws",
        image={"size": 100 * 1024**4, "snapshot_date": "2025-01-01", "content_template": UNKNOWN},
        labels={"no key": "x"},
        customizations={"installer": {"unattended": True}},
    )
    found = problems(client, body)
    assert {
        "labels": "invalid-request",
        "image_requests[0].snapshot_date": "invalid-request",
        "image_requests[0].size": "invalid-request",
        "customizations.installer": "unsupported-customization",
    }.items() <= found.items()


def test_a_fault_of_labels_does_not_hide_packages_that_do_not_exist(client: Client) -> None:
    body = compose_request(labels={"no key": "x"}, customizations={"packages": [f"no-such-{uuid4().hex}"]})
    assert problems(client, body) == {"labels": "invalid-request", "customizations.packages[0]": "packages-not-found"}


def test_an_image_type_that_the_target_does_not_take_is_a_problem(client: Client) -> None:
    found = problems(client, compose_request("guest-image", "aws", image={"options": {"share_with_accounts": ["1"]}}))
    assert found["image_requests[0].image_type"] == "invalid-request"


def test_all_faults_that_lookups_show_are_listed(client: Client) -> None:
    body = compose_request(
        "aws",
        "aws",
        distribution="rhel-9.6",
        image={"options": {"share_with_sources": ["1", "998", "999"]}},
        customizations={
            "packages": [f"no-such-{uuid4().hex}"],
            "openscap": {"policy_id": sample_data.POLICY_RHEL10},
            "custom_repositories": [{"id": UNKNOWN}, {"id": sample_data.EXTERNAL}],
        },
    )
    assert problems(client, body) == {
        "image_requests[0].upload_request.options.share_with_sources[1]": "invalid-request",
        "image_requests[0].upload_request.options.share_with_sources[2]": "invalid-request",
        "customizations.openscap.policy_id": "invalid-request",
        "customizations.custom_repositories[0]": "invalid-request",
        "customizations.packages": "not-checked",
    }


def test_faults_of_sources_and_policies_do_not_hide_those_of_packages(client: Client) -> None:
    body = compose_request(
        "aws",
        "aws",
        distribution="rhel-9.6",
        image={"options": {"share_with_sources": ["999"]}},
        customizations={
            "packages": ["nginx", f"no-such-{uuid4().hex}"],
            "openscap": {"policy_id": str(uuid4())},
        },
    )
    assert problems(client, body) == {
        "image_requests[0].upload_request.options.share_with_sources[0]": "invalid-request",
        "customizations.openscap.policy_id": "invalid-request",
        "customizations.packages[1]": "packages-not-found",
    }


def test_a_back_end_that_is_away_is_a_warning_beside_the_faults_that_others_show(
    client: Client, platform: StandInPlatform
) -> None:
    platform.steer(compliance={"raw": {"status": 503, "body": ""}})
    body = compose_request(
        "aws",
        "aws",
        distribution="rhel-9.6",
        image={"options": {"share_with_sources": ["999"]}},
        customizations={"openscap": {"policy_id": sample_data.POLICY_RHEL9}},
    )
    assert problems(client, body) == {
        "image_requests[0].upload_request.options.share_with_sources[0]": "invalid-request",
        "customizations.openscap.policy_id": "not-checked",
    }


@pytest.mark.parametrize("kind", ["payload_repositories", "custom_repositories"])
@pytest.mark.parametrize("image", [{}, {"snapshot_date": "2025-03-01"}])
def test_a_repository_that_content_sources_does_not_know_is_a_problem(
    client: Client, kind: str, image: dict[str, Any]
) -> None:
    repository = {"id": UNKNOWN, **({"rhsm": False} if kind == "payload_repositories" else {})}
    body = compose_request(distribution="rhel-9.6", image=image, customizations={kind: [repository]})
    answer = client.post(CHECK, body).json()
    assert answer["valid"] is False
    errors = [each for each in answer["problems"] if each["severity"] == "error"]
    assert [each["path"] for each in errors] == [f"customizations.{kind}[0]"]
    assert UNKNOWN in errors[0]["message"]


def test_a_repository_that_content_sources_knows_is_no_problem(client: Client) -> None:
    repositories = [{"id": sample_data.EXTERNAL, "rhsm": False}, {"id": sample_data.COMMUNITY, "rhsm": False}]
    body = compose_request(distribution="rhel-9.6", customizations={"payload_repositories": repositories})
    assert problems(client, body) == {}


@pytest.mark.parametrize(
    ("url", "severity"),
    [("no url", "error"), ("https://", "error"), ("http:", "error"), ("/", "error"), ("mirror.example/el9", "warning")],
)
def test_a_base_url_that_is_no_url_is_a_problem_of_its_field(client: Client, url: str, severity: str) -> None:
    payload = {"payload_repositories": [{"baseurl": "https://ok.example/$basearch", "rhsm": False}]}
    payload["payload_repositories"].append({"baseurl": url, "rhsm": False})
    custom = {"custom_repositories": [{"id": "own", "baseurl": ["https://ok.example", url]}]}
    for customizations, path in (
        (payload, "customizations.payload_repositories[1].baseurl"),
        (custom, "customizations.custom_repositories[0].baseurl[1]"),
    ):
        answer = client.post(CHECK, compose_request(customizations=customizations)).json()
        found = {each["path"]: each["severity"] for each in answer["problems"] if each["code"] != "not-checked"}
        assert found == {path: severity}


def test_a_repository_without_any_address_is_a_problem(client: Client) -> None:
    found = problems(client, compose_request(customizations={"payload_repositories": [{"rhsm": False}]}))
    assert found["customizations.payload_repositories[0]"] == "rule-violated"


def test_ten_thousand_packages_are_a_valid_request(client: Client) -> None:
    packages = [f"absent-{number}" for number in range(10_000)]
    answer = client.post(CHECK, compose_request(customizations={"packages": packages}))
    assert answer.status_code == 200
    document = answer.json()
    assert document["valid"] is False
    assert len(document["problems"]) == 20
    assert {each["code"] for each in document["problems"]} == {"packages-not-found"}


def test_one_package_more_than_the_contract_allows_is_a_problem(client: Client) -> None:
    packages = [f"absent-{number}" for number in range(10_001)]
    answer = client.post(CHECK, compose_request(customizations={"packages": packages})).json()
    assert [(each["path"], each["code"]) for each in answer["problems"]] == [
        ("customizations.packages", "invalid-value"),
        ("customizations.packages", "not-checked"),
    ]


def test_the_blueprint_of_another_organization_is_not_found(client: Client, others_blueprint: str) -> None:
    refusal(client.post(f"/blueprints/{others_blueprint}/check"), 404)
    refusal(client.post(f"/blueprints/{uuid4()}/check"), 404)
    refusal(client.post(f"/blueprints/{uuid4()}/check", {"image_types": 1}), 404)
    refusal(client.post("/blueprints/no-uuid/check"), 400)
