"""POST /compose/check and POST /blueprints/{id}/check, as clients see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import blueprint
from tests.support.builders import compose_request
from tests.support.service import Client

DEPSOLVE = "POST /depsolve/blueprint"


def checked(client: Client, body: Any, query: str = "") -> dict[str, Any]:
    answer = client.post(f"/compose/check{query}", body)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def with_packages(*names: str, **fields: Any) -> dict[str, Any]:
    return compose_request(customizations={"packages": list(names), **fields})


def unused() -> str:
    """A package that no other test asks for, so that no answer is shared."""
    return f"no-such-{uuid4().hex}"


def codes(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["path"], each["code"]) for each in document["problems"]]


def posted(composer: StandInComposer) -> int:
    return composer.counters().get(DEPSOLVE, 0)


def test_a_request_without_problems_is_valid_and_its_packages_are_listed(client: Client) -> None:
    document = checked(client, with_packages("nginx"))
    assert document["valid"] is True
    assert document["problems"] == []
    (image,) = document["images"]
    assert "nginx" in [each["name"] for each in image["packages"]["data"]]
    assert image["packages"]["count"] == len(image["packages"]["data"])
    assert image["customizations"] == [{"path": "customizations.packages", "supported": True}]


def test_each_package_that_does_not_exist_is_named(client: Client) -> None:
    missing = unused()
    document = checked(client, with_packages("nginx", missing))
    assert document["valid"] is False
    assert codes(document) == [("customizations.packages[1]", "packages-not-found")]
    assert missing in document["problems"][0]["message"]


def test_packages_that_do_not_exist_are_in_the_order_of_the_request(client: Client) -> None:
    first, second = f"z{unused()}", f"a{unused()}"
    document = checked(client, with_packages(first, "nginx", second))
    assert [path for path, _ in codes(document)] == ["customizations.packages[0]", "customizations.packages[2]"]


@pytest.mark.parametrize("name", ["/usr/bin/no-such", "no-such-*", "ng\u00fcnx"])
def test_a_package_with_an_unusual_name_is_named_in_the_text_of_the_package_manager(client: Client, name: str) -> None:
    (problem,) = checked(client, with_packages(name))["problems"]
    assert problem["severity"] == "error"
    assert name in problem["message"]


@pytest.mark.parametrize("image_type", ["network-installer", "edge-installer"])
def test_a_request_that_a_check_finds_valid_is_built_with_payload_repositories(client: Client, image_type: str) -> None:
    repository = {"baseurl": "https://example.com/repository", "rhsm": False}
    body = compose_request(image_type, customizations={"payload_repositories": [repository]})
    assert checked(client, body)["valid"] is True
    assert client.post("/compose", body).status_code == 201


def test_a_check_stores_nothing_and_uses_no_quota(client: Client) -> None:
    before = client.get("/quota").json()
    document = checked(client, with_packages("nginx"))
    assert document["quota"] == {key: before[key] for key in ("limit", "remaining") if key in before}
    assert client.get("/quota").json() == before
    assert client.get("/composes").json()["meta"]["count"] == 0


def test_all_faults_of_a_request_are_listed_together(client: Client) -> None:
    body = compose_request(
        "aws",
        "aws",
        image={"size": 100 * 1024**4, "upload_request": {"type": "aws", "options": {}}},
        customizations={"users": [{"name": "-bad", "ssh_key": "k"}], "firewall": {"ports": ["nonsense"]}},
    )
    document = checked(client, body)
    assert {path for path, _ in codes(document)} >= {
        "image_requests[0].size",
        "image_requests[0].upload_request",
        "customizations.users[0].name",
        "customizations.firewall.ports[0]",
    }


def test_violations_of_the_schema_are_problems(client: Client) -> None:
    document = checked(client, {"distribution": "centos-9", "customizations": {"packages": 7}})
    assert document["valid"] is False
    assert ("customizations.packages", "invalid-value") in codes(document)
    assert {code for _, code in codes(document)} == {"invalid-value", "not-checked"}


def test_a_customization_that_the_image_type_does_not_support_is_an_error(client: Client) -> None:
    body = compose_request("network-installer", customizations={"hostname": "a.example"})
    document = checked(client, body)
    assert ("customizations.hostname", "unsupported-customization") in codes(document)


@pytest.fixture
def restored(composer: StandInComposer) -> Iterator[StandInComposer]:
    yield composer
    composer.reset()


def test_other_errors_are_reported_while_packages_cannot_be_resolved(client: Client, restored: StandInComposer) -> None:
    restored.steer(raw={DEPSOLVE: {"status": 501, "body": "no"}})
    document = checked(client, compose_request("network-installer", customizations={"packages": [unused()]}))
    assert {code for _, code in codes(document)} == {"unsupported-customization", "not-checked"}


def test_explain_shows_the_request_of_the_composer_without_secrets(client: Client) -> None:
    secret = f"secret-{uuid4().hex}"
    body = compose_request(
        customizations={
            "users": [{"name": "alice", "password": secret}],
            "files": [{"path": "/etc/token.conf", "data": secret}],
        }
    )
    assert "composer_request" not in checked(client, body)["images"][0]
    answer = client.post("/compose/check?explain=true", body)
    shown = answer.json()["images"][0]["composer_request"]
    assert shown["distribution"] == "centos-9"
    assert secret not in answer.text
    assert "$6$" not in answer.text


def test_a_blueprint_is_checked_image_by_image(client: Client) -> None:
    id_ = client.post("/blueprints", blueprint(uuid4().hex)).json()["id"]
    answer = client.post(f"/blueprints/{id_}/check")
    assert answer.status_code == 200, answer.text
    assert answer.json()["images"]
    assert client.get("/composes").json()["meta"]["count"] == 0


STRICT = {"Prefer": "respond-async, handling=strict"}


def test_strict_handling_refuses_what_a_check_finds(client: Client, composer: StandInComposer) -> None:
    before = composer.counters().get("POST /compose", 0)
    answer = client.post("/compose", with_packages(unused(), unused()), headers=STRICT)
    assert answer.status_code == 422
    assert [each["title"] for each in answer.json()["errors"]] == ["packages-not-found"] * 2
    assert composer.counters().get("POST /compose", 0) == before
    assert client.get("/composes").json()["meta"]["count"] == 0


def test_strict_handling_names_the_field_of_a_problem_once(client: Client) -> None:
    answer = client.post("/compose", compose_request(labels={"no key": "x"}), headers=STRICT)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["detail"].startswith("labels: 'no key'")


def test_strict_handling_builds_what_a_check_finds_valid(client: Client) -> None:
    answer = client.post("/compose", with_packages("nginx"), headers=STRICT)
    assert answer.status_code == 201
    assert answer.headers["Preference-Applied"] == "handling=strict"


def test_warnings_do_not_block_a_strict_build(client: Client, restored: StandInComposer) -> None:
    restored.steer(raw={DEPSOLVE: {"status": 501, "body": "no"}})
    assert client.post("/compose", with_packages(unused()), headers=STRICT).status_code == 201


def test_without_the_preference_nothing_is_resolved(client: Client, composer: StandInComposer) -> None:
    before = posted(composer)
    answer = client.post("/compose", with_packages(unused()))
    assert answer.status_code == 201
    assert "Preference-Applied" not in answer.headers
    assert posted(composer) == before


def test_strict_handling_of_a_blueprint_starts_nothing_if_an_image_has_a_problem(client: Client) -> None:
    body = {**blueprint(uuid4().hex), "customizations": {"packages": [unused()]}}
    id_ = client.post("/blueprints", body).json()["id"]
    answer = client.post(f"/blueprints/{id_}/compose", headers=STRICT)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["title"] == "packages-not-found"
    assert client.get("/composes").json()["meta"]["count"] == 0
