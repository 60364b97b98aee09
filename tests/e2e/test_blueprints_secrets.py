"""Passwords of blueprints are hashed before they are stored, survive changes, and are never answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import (
    blueprint,
    bodies,
    changed,
    composed,
    exported,
    insert_blueprint,
    is_known_hash,
    kept,
    put,
    read,
    violations,
    with_users,
)
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.rows import stored_row
from tests.support.service import Client
from tests.support.waiting import PATIENCE

PLAIN = "correct horse battery staple"
HASHES = ["$6$salt$hash", "$5$salt$hash", "$2b$12$hash"]


def users(database: Parameters, blueprint_id: str) -> list[Any]:
    """The stored users of the latest version."""
    found: list[Any] = bodies(database, blueprint_id)[-1]["customizations"]["users"]
    return found


def user(client: Client, blueprint_id: str, query: str = "") -> dict[str, Any]:
    """The only user in the answer for a blueprint."""
    (found,) = read(client, blueprint_id, query)["customizations"]["users"]
    assert isinstance(found, dict)
    return found


def test_a_password_is_stored_as_a_salted_hash(client: Client, module_database: Parameters) -> None:
    blueprint_id = kept(client, with_users("web", {"name": "a", "password": PLAIN}, {"name": "b", "password": PLAIN}))
    first, second = (each["password"] for each in users(module_database, blueprint_id))
    assert is_known_hash(first)
    assert is_known_hash(second)
    assert first != second


def test_a_password_in_a_change_is_stored_as_a_salted_hash(client: Client, module_database: Parameters) -> None:
    blueprint_id = kept(client)
    changed(client, blueprint_id, with_users("web", {"name": "a", "password": PLAIN}))
    assert is_known_hash(users(module_database, blueprint_id)[0]["password"])


@pytest.mark.parametrize("crypt", HASHES)
def test_a_hash_that_the_composer_supports_is_stored_unchanged(
    client: Client, module_database: Parameters, crypt: str
) -> None:
    blueprint_id = kept(client, with_users("web", {"name": "a", "password": crypt}))
    assert users(module_database, blueprint_id) == [{"name": "a", "password": crypt}]


@pytest.mark.parametrize("crypt", ["$y$j9T$salt$hash", "$1$salt$hash"])
def test_an_unsupported_hash_is_refused_with_the_name_of_the_user(client: Client, crypt: str) -> None:
    document = with_users("web", {"name": "alice", "password": crypt})
    blueprint_id = kept(client, name="other")
    for answer in (client.post("/blueprints", document), put(client, blueprint_id, document)):
        (violation,) = violations(answer)
        assert violation["title"] == "user rule violation"
        assert "alice" in violation["detail"]
        assert crypt not in answer.text


@pytest.mark.parametrize("nothing", [{}, {"password": ""}, {"password": "", "ssh_key": ""}, {"hasPassword": True}])
def test_an_empty_password_or_key_is_not_stored(
    client: Client, module_database: Parameters, nothing: dict[str, Any]
) -> None:
    blueprint_id = kept(client, with_users("web", {"name": "a", **nothing}))
    assert users(module_database, blueprint_id) == [{"name": "a"}]
    assert user(client, blueprint_id) == {"name": "a", "hasPassword": False}


def test_a_change_that_omits_a_password_keeps_it(client: Client, module_database: Parameters) -> None:
    blueprint_id = kept(client, with_users("web", {"name": "a", "password": PLAIN, "ssh_key": "k"}))
    before = users(module_database, blueprint_id)
    changed(client, blueprint_id, with_users("web", {"name": "a", "groups": ["wheel"]}))
    assert users(module_database, blueprint_id) == [{**before[0], "groups": ["wheel"]}]


def test_a_blueprint_that_is_sent_back_as_read_keeps_its_passwords(client: Client, module_database: Parameters) -> None:
    blueprint_id = kept(client, with_users("web", {"name": "a", "password": PLAIN, "ssh_key": "k"}, {"name": "b"}))
    answered = read(client, blueprint_id)
    changed(client, blueprint_id, {key: answered[key] for key in answered if key not in ("id", "lint")})
    first, second = bodies(module_database, blueprint_id)
    assert first == second


def test_a_change_keeps_passwords_by_user_name_not_by_position(client: Client, module_database: Parameters) -> None:
    blueprint_id = kept(client, with_users("web", {"name": "a", "password": HASHES[0]}, {"name": "b", "ssh_key": "k"}))
    changed(client, blueprint_id, with_users("web", {"name": "b"}, {"name": "c"}, {"name": "a"}))
    assert users(module_database, blueprint_id) == [
        {"name": "b", "ssh_key": "k"},
        {"name": "c"},
        {"name": "a", "password": HASHES[0]},
    ]


@pytest.mark.parametrize(
    ("removed", "left"), [("password", {"ssh_key": "k"}), ("ssh_key", {"password": HASHES[0]})], ids=["password", "key"]
)
def test_an_empty_password_removes_the_stored_one(
    client: Client, module_database: Parameters, removed: str, left: dict[str, str]
) -> None:
    blueprint_id = kept(client, with_users("web", {"name": "a", "password": HASHES[0], "ssh_key": "k"}))
    changed(client, blueprint_id, with_users("web", {"name": "a", removed: ""}))
    assert users(module_database, blueprint_id) == [{"name": "a", **left}]
    # Once it is gone it does not come back.
    changed(client, blueprint_id, with_users("web", {"name": "a"}))
    assert users(module_database, blueprint_id) == [{"name": "a", **left}]


def test_a_user_who_was_removed_and_added_again_has_no_password(client: Client) -> None:
    blueprint_id = kept(client, with_users("web", {"name": "a", "password": PLAIN}))
    changed(client, blueprint_id, with_users("web"))
    changed(client, blueprint_id, with_users("web", {"name": "a"}))
    assert user(client, blueprint_id)["hasPassword"] is False
    assert user(client, blueprint_id, "?version=1")["hasPassword"] is True


def test_fixup_keeps_the_passwords(client: Client, module_database: Parameters) -> None:
    blueprint_id = kept(client, with_users("web", {"name": "a", "password": PLAIN}))
    assert client.post(f"/experimental/blueprints/{blueprint_id}/fixup").status_code == 200
    first, second = bodies(module_database, blueprint_id)
    assert first == second


def answers(client: Client, blueprint_id: str, document: dict[str, Any]) -> Iterator[requests.Response]:
    """The answers of every operation on a blueprint."""
    path = f"/blueprints/{blueprint_id}"
    yield client.get("/blueprints")
    yield client.get(path)
    yield client.get(f"{path}?version=1")
    yield client.get(f"{path}/export")
    yield client.get(f"{path}/export", headers={"Accept": "application/toml"})
    yield client.post(f"{path}/compose")
    yield client.get(f"{path}/composes")
    yield client.get("/composes")
    yield client.get(f"/composes/{client.get('/composes').json()['data'][0]['id']}")
    yield client.post(f"/experimental{path}/fixup")
    yield put(client, blueprint_id, document)
    yield client.get(path)


@pytest.mark.parametrize("password", [PLAIN, *HASHES])
def test_no_operation_answers_a_password_or_its_hash(
    client: Client, module_database: Parameters, password: str
) -> None:
    document = with_users("web", {"name": "a", "password": password})
    blueprint_id = kept(client, document)
    stored = users(module_database, blueprint_id)[0]["password"]
    for answer in answers(client, blueprint_id, document):
        assert answer.ok, answer.text
        assert password not in answer.text
        assert stored not in answer.text
        assert "$" not in answer.text
        assert '"password"' not in answer.text
    assert user(client, blueprint_id) == {"name": "a", "hasPassword": True}


def test_the_password_of_an_older_row_is_not_answered(client: Client, module_database: Parameters, tenant: str) -> None:
    document = with_users("web", {"name": "a", "password": "old secret"}, {"name": "b", "password": ""})
    blueprint_id = str(insert_blueprint(module_database, tenant, "web", document))
    for answer in answers(client, blueprint_id, document):
        assert answer.ok, answer.text
        assert "old secret" not in answer.text
        assert '"password"' not in answer.text


def test_no_row_contains_a_plain_password(client: Client, module_database: Parameters) -> None:
    blueprint_id = kept(client, with_users("web", {"name": "a", "password": PLAIN}))
    changed(client, blueprint_id, with_users("web", {"name": "b", "password": PLAIN}))
    assert PLAIN not in json.dumps(bodies(module_database, blueprint_id))


def test_the_composer_gets_the_hash_and_the_compose_row_has_no_password(
    client: Client, composer: StandInComposer, module_database: Parameters
) -> None:
    blueprint_id = kept(client, with_users("web", {"name": "a", "password": PLAIN}))
    (compose_id,) = composed(client, blueprint_id)
    told = requests.get(f"{composer.api_url}/composes/{compose_id}/metadata", timeout=PATIENCE).json()["request"]
    assert told["customizations"]["users"][0]["password"] == users(module_database, blueprint_id)[0]["password"]
    row = stored_row(module_database, compose_id)
    assert row["request"]["customizations"]["users"] == [{"name": "a", "hasPassword": True}]
    assert "$6$" not in row["as_text"]


def test_a_rule_violation_does_not_repeat_the_password(client: Client) -> None:
    answer = client.post("/blueprints", with_users(" ", {"name": " ", "password": PLAIN}))
    assert len(violations(answer)) == 2
    assert PLAIN not in answer.text
    assert PLAIN not in refusal(client.post("/blueprints", with_users("web", {"password": PLAIN})), 400)


def test_an_export_has_no_secrets_and_no_registration_data(client: Client) -> None:
    secret_files = [
        "/etc/systemd/system/register-satellite.service",
        "/usr/local/sbin/register-satellite",
        "/usr/local/sbin/aap-first-boot-reg",
    ]
    customizations = {
        "users": [{"name": "a", "password": PLAIN, "ssh_key": "ssh-ed25519 AAAA"}],
        "subscription": {
            "organization": 1,
            "activation-key": "a secret key",
            "server-url": "s",
            "base-url": "b",
            "insights": True,
        },
        "cacerts": {"pem_certs": ["a secret certificate"]},
        "aap_registration": {"ansible_callback_url": "https://aap.example.com", "host_config_key": "a secret hook"},
        "files": [{"path": path, "data": "a secret script"} for path in secret_files],
        "packages": ["nginx"],
    }
    document = exported(client, kept(client, customizations=customizations))
    assert "secret" not in json.dumps(document)
    assert document["customizations"] == {
        "users": [{"name": "a", "ssh_key": "ssh-ed25519 AAAA", "hasPassword": True}],
        "aap_registration": {"ansible_callback_url": "https://aap.example.com", "host_config_key": ""},
        "packages": ["nginx"],
    }


def test_an_export_keeps_files_without_secrets(client: Client) -> None:
    paths = ["/usr/local/sbin/register-satellite", "/etc/motd"]
    document = exported(client, kept(client, customizations={"files": [{"path": path} for path in paths]}))
    assert [file["path"] for file in document["customizations"]["files"]] == ["/etc/motd"]


def test_an_export_can_be_imported_again(client: Client) -> None:
    blueprint_id = kept(client, blueprint("web", customizations={"packages": ["nginx"]}, description="of mine"))
    document = exported(client, blueprint_id)
    assert document.pop("content_sources") == []
    metadata = document["metadata"]
    assert (metadata["parent_id"], metadata["is_on_prem"]) == (blueprint_id, False)
    again = kept(client, {**document, "name": "again", "image_requests": blueprint()["image_requests"]})
    assert read(client, again)["customizations"] == {"packages": ["nginx"]}
