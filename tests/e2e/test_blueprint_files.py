"""Blueprint files of osbuild: pushed, pushed again, built and exported (openapi.yaml, createBlueprint)."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import (
    blueprint,
    bodies,
    composed,
    insert_blueprint,
    kept,
    listed,
    push,
    pushed,
    put,
    read,
    violations,
)
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.service import Client
from tests.support.waiting import PATIENCE

ALL_PARAMETERS = (
    "?name=web&description=mine&distribution=centos-stream-9&image_type=aws&image_type=guest-image"
    "&architecture=aarch64&share_with_account=123456789012"
)


def submitted(client: Client, composer: StandInComposer, blueprint_id: str) -> dict[str, Any]:
    """The composer's request of the one build of a blueprint."""
    (compose_id,) = composed(client, blueprint_id)
    return composer_request(composer, compose_id)


def composer_request(composer: StandInComposer, compose_id: str) -> dict[str, Any]:
    answer = requests.get(f"{composer.api_url}/composes/{compose_id}/metadata", timeout=PATIENCE)
    request: dict[str, Any] = answer.json()["request"]
    return request


# Parameters


def test_the_query_supplies_what_a_file_leaves_out(client: Client) -> None:
    found = read(client, pushed(client, '[[packages]]\nname = "tmux"', ALL_PARAMETERS))
    assert (found["name"], found["description"], found["distribution"]) == ("web", "mine", "centos-9")
    assert [
        (image["image_type"], image["architecture"], image["upload_request"]) for image in found["image_requests"]
    ] == [
        ("aws", "aarch64", {"type": "aws", "options": {"share_with_accounts": ["123456789012"]}}),
        ("guest-image", "aarch64", {"type": "aws.s3", "options": {}}),
    ]


def test_what_the_file_says_wins(client: Client) -> None:
    text = 'name = "web"\ndescription = "its own"\ndistro = "rhel-9.6"\narchitecture = "x86_64"'
    query = "?name=web&description=mine&distribution=centos-9&architecture=aarch64"
    found = read(client, pushed(client, text, query))
    assert (found["description"], found["distribution"]) == ("its own", "rhel-9.6")
    assert [image["architecture"] for image in found["image_requests"]] == ["x86_64"]


def test_another_name_in_the_query_is_refused(client: Client) -> None:
    detail = refusal(push(client, 'name = "web"', "?name=other"), 400)
    assert "other" in detail
    assert "web" in detail
    assert listed(client)["data"] == []


@pytest.mark.parametrize(
    ("text", "query", "named"),
    [
        ('distro = "centos-9"\narchitecture = "aarch64"', "?image_type=vsphere", "vsphere"),
        ('distro = "centos-9"', "?architecture=aarch64&image_type=ami&image_type=vhd", "vhd"),
        ('distro = "centos-9"', "?share_with_account=1", "share_with_account"),
        ('distro = "centos-9"', "?image_type=guest", "guest-image"),
        ('distro = "rhel-9.99"', "", "distro: expected one of rhel-9."),
        ('distro = "centos-9"\narchitecture = "arm"', "", "architecture"),
    ],
)
def test_what_the_distribution_does_not_have_is_refused(client: Client, text: str, query: str, named: str) -> None:
    assert named in refusal(push(client, f'name = "web"\n{text}', query), 400)
    assert listed(client)["data"] == []


def test_other_names_of_image_types_are_accepted(client: Client) -> None:
    found = read(client, pushed(client, 'name = "web"\ndistro = "centos-9"', "?image_type=ami&image_type=vhd"))
    assert [image["image_type"] for image in found["image_requests"]] == ["ami", "vhd"]


# Pushing again


def test_a_changed_file_adds_a_version_and_an_unchanged_one_does_not(
    client: Client, module_database: Parameters
) -> None:
    text = (
        'name = "web"\nversion = "1.0"\ndistro = "centos-9"\n[[customizations.user]]\nname = "u"\npassword = "{}"\n'
        '[[customizations.user]]\nname = "v"\npassword = "other secret"'
    )
    answers = [push(client, text.format(password)) for password in ("a secret", "a secret", "another one")]
    assert [(answer.status_code, answer.headers["ETag"]) for answer in answers] == [
        (201, '"1"'),
        (200, '"1"'),
        (200, '"2"'),
    ]
    (blueprint_id,) = {answer.json()["id"] for answer in answers}
    first, second = bodies(module_database, blueprint_id)
    users = first["customizations"]["users"], second["customizations"]["users"]
    assert users[0][0]["password"] != users[1][0]["password"]
    assert users[0][1] == users[1][1]


@pytest.mark.parametrize("change", [("1.0", "1.1"), ('"mine"', '"yours"'), ("centos-9", "centos-10")])
def test_every_part_of_a_file_counts(client: Client, change: tuple[str, str]) -> None:
    text = 'name = "web"\ndescription = "mine"\nversion = "1.0"\ndistro = "centos-9"'
    push(client, text)
    assert push(client, text.replace(*change)).headers["ETag"] == '"2"'


def test_json_is_pushed_in_the_same_way(client: Client) -> None:
    answers = [
        client.post("/blueprints?on_conflict=update", blueprint("web", customizations={"packages": [package]}))
        for package in ("a", "a", "b")
    ]
    assert [(answer.status_code, answer.headers["ETag"]) for answer in answers] == [
        (201, '"1"'),
        (200, '"1"'),
        (200, '"2"'),
    ]


def test_without_the_parameter_a_taken_name_is_refused(client: Client) -> None:
    push(client, 'name = "web"')
    assert [error["title"] for error in violations(push(client, 'name = "web"', ""))] == ["Name not unique"]


def test_secrets_that_a_file_leaves_out_stay(client: Client, module_database: Parameters) -> None:
    document = blueprint("web", customizations={"users": [{"name": "u", "password": "a secret"}]})
    blueprint_id = kept(client, document)
    assert pushed(client, 'name = "web"\n[[customizations.user]]\nname = "u"\ngroups = ["wheel"]') == blueprint_id
    first, second = (body["customizations"]["users"][0] for body in bodies(module_database, blueprint_id))
    assert second == {"name": "u", "groups": ["wheel"], "password": first["password"]}


def test_a_blueprint_without_distribution_is_built_once_it_is_pushed_with_one(client: Client) -> None:
    text = 'name = "web"\n[[packages]]\nname = "tmux"'
    blueprint_id = pushed(client, text)
    detail = refusal(client.post(f"/blueprints/{blueprint_id}/compose", {}), 400)
    assert detail.startswith("distribution: ")
    assert "query parameter" in detail
    assert pushed(client, text, "?on_conflict=update&distribution=centos-9") == blueprint_id
    assert len(composed(client, blueprint_id)) == 1


# Refusals


def test_keys_that_cannot_be_built_and_unknown_keys_are_all_named(client: Client) -> None:
    text = (
        'name = "web"\nof = 1\n[customizations.iso]\nvolume_id = "V"\n[customizations.sshd]\n'
        '[[customizations.user]]\nname = "u"\nexpiredate = 1'
    )
    detail = refusal(push(client, text), 400)
    assert detail == (
        "This service cannot build what the blueprint asks for with: customizations.iso, customizations.sshd, "
        "customizations.user[0].expiredate. Unsupported fields in the blueprint: of"
    )
    assert listed(client)["data"] == []


def test_an_error_of_toml_has_line_and_column(client: Client) -> None:
    detail = refusal(push(client, 'name = "web"\ngroups = []\n\n[[groups]]\nname = "core"'), 400)
    assert "line 4, column " in detail
    assert "groups" in detail


def test_a_value_that_is_not_allowed_is_shown_with_those_that_are(client: Client) -> None:
    document = blueprint("web")
    document["image_requests"][0]["image_type"] = "guest-imag"
    detail = refusal(client.post("/blueprints", document), 400)
    assert detail.startswith("image_requests[0].image_type: expected one of guest-image, ")
    assert detail.endswith('not "guest-imag"')


# What the composer gets


def test_a_registration_whose_key_was_left_out_is_not_built(client: Client) -> None:
    registration = {"ansible_callback_url": "https://aap.example.com/", "host_config_key": ""}
    blueprint_id = kept(client, blueprint("web", customizations={"aap_registration": registration}))
    detail = refusal(client.post(f"/blueprints/{blueprint_id}/compose", {}), 400)
    assert detail.startswith("customizations.aap_registration.host_config_key")


@pytest.mark.parametrize(
    ("customizations", "written"),
    [
        (
            {"users": [{"name": "u", "description": "d", "home": "/srv/u", "shell": "/bin/sh", "uid": 0, "gid": 5}]},
            {"user": [{"name": "u", "description": "d", "home": "/srv/u", "shell": "/bin/sh", "uid": 0, "gid": 5}]},
        ),
        (
            {"firewall": {"ports": ["8080:tcp"], "zones": [{"name": "z", "sources": ["192.0.2.0/24"]}]}},
            {"firewall": {"ports": ["8080:tcp"], "zones": [{"name": "z", "sources": ["192.0.2.0/24"]}]}},
        ),
        (
            {"openscap": {"profile_id": "cis", "datastream": "/usr/share/ds.xml", "tailoring": {"selected": ["a"]}}},
            {"openscap": {"profile_id": "cis", "datastream": "/usr/share/ds.xml", "tailoring": {"selected": ["a"]}}},
        ),
    ],
)
def test_keys_that_need_it_reach_the_composer_as_a_blueprint(
    client: Client, composer: StandInComposer, customizations: dict[str, Any], written: dict[str, Any]
) -> None:
    others = {
        "packages": ["tmux", "@core"],
        "filesystem": [{"mountpoint": "/var", "min_size": 2**30}],
        "fips": {"enabled": True},
        "files": [{"path": "/etc/motd", "data": "aGVsbG8K", "data_encoding": "base64"}],
        "groups": [{"name": "g", "gid": 7}],
        "custom_repositories": [{"id": "r", "baseurl": ["https://r.example.com/"], "ssl_verify": True}],
    }
    blueprint_id = kept(client, blueprint("web", customizations={**others, **customizations}))
    request = submitted(client, composer, blueprint_id)
    assert "customizations" not in request
    sent = request["blueprint"]
    assert (sent["name"], sent["packages"], sent["groups"]) == ("web", [{"name": "tmux"}], [{"name": "core"}])
    expected = {
        "filesystem": [{"mountpoint": "/var", "minsize": str(2**30)}],
        "fips": True,
        "files": [{"path": "/etc/motd", "data": "hello\n"}],
        "group": [{"name": "g", "gid": 7}],
        "repositories": [{"id": "r", "baseurls": ["https://r.example.com/"], "sslverify": True}],
        **written,
    }
    assert {name: sent["customizations"][name] for name in expected} == expected


def test_passwords_of_a_blueprint_are_hashed(client: Client, composer: StandInComposer) -> None:
    document = {
        "distribution": "centos-9",
        "image_requests": blueprint("web")["image_requests"],
        "customizations": {"users": [{"name": "u", "uid": 1500, "password": "a secret of mine"}]},
    }
    request = composer_request(composer, client.compose(document))
    (user,) = request["blueprint"]["customizations"]["user"]
    assert user["password"].startswith("$6$")


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"payload_repositories": [{"rhsm": False, "baseurl": "https://r.example.com/"}]}, "payload_repositories"),
        ({"files": [{"path": "/etc/a", "ensure_parents": True}]}, "files[0].ensure_parents"),
        (
            {"aap_registration": {"ansible_callback_url": "https://a.example.com/", "host_config_key": "k"}},
            "aap_registration",
        ),
    ],
)
def test_what_a_blueprint_cannot_express_is_refused_with_both_fields(
    client: Client, other: dict[str, Any], named: str
) -> None:
    customizations = {"users": [{"name": "u", "home": "/srv/u"}], **other}
    blueprint_id = kept(client, blueprint("web", customizations=customizations))
    detail = refusal(client.post(f"/blueprints/{blueprint_id}/compose", {}), 400)
    assert "customizations.users[0].home" in detail
    assert f"customizations.{named}" in detail


# Values that osbuild refuses

REFUSED = {
    "users": [{"name": "two words"}],
    "firewall": {"ports": ["443"]},
    "files": [{"path": "/etc/x"}, {"path": "/etc/x/y"}],
}


def test_values_that_osbuild_refuses_are_refused_when_saved_and_when_built(client: Client) -> None:
    found = violations(client.post("/blueprints", blueprint("web", customizations=REFUSED)))
    assert [error["title"] for error in found] == [
        "user rule violation",
        "file rule violation",
        "firewall rule violation",
    ]
    document = {
        "distribution": "centos-9",
        "image_requests": blueprint("web")["image_requests"],
        "customizations": REFUSED,
    }
    detail = refusal(client.post("/compose", document), 400)
    assert all(text in detail for text in ("two words", "443", "/etc/x/y"))


def test_a_stored_violation_does_not_prevent_an_update_that_keeps_it(
    client: Client, module_database: Parameters, tenant: str
) -> None:
    old = {"users": [{"name": "two words"}]}
    body = {"distribution": "centos-9", "image_requests": blueprint("web")["image_requests"], "customizations": old}
    blueprint_id = insert_blueprint(module_database, tenant, "web", body)
    assert read(client, str(blueprint_id))["customizations"]["users"][0]["name"] == "two words"
    assert client.get(f"/blueprints/{blueprint_id}/export").status_code == 200
    kept_violation = blueprint("web", customizations={**old, "packages": ["tmux"]})
    assert put(client, str(blueprint_id), kept_violation).status_code == 200
    assert client.post("/blueprints?on_conflict=update", kept_violation).headers["ETag"] == '"2"'
    added = blueprint("web", customizations={"users": [*old["users"], {"name": "three more words"}]})
    assert [error["detail"].split('"')[1] for error in violations(put(client, str(blueprint_id), added))] == [
        "three more words"
    ]
    assert "two words" in refusal(client.post(f"/blueprints/{blueprint_id}/compose", {}), 400)


def test_forms_with_an_obvious_meaning_are_accepted_in_json(client: Client, composer: StandInComposer) -> None:
    customizations = {
        "partitioning_mode": "",
        "files": [{"path": "/etc/a", "mode": ""}],
        "directories": [{"path": "/etc/d", "mode": ""}],
        "disk": {
            "type": "gpt",
            "partitions": [
                {"type": "lvm", "minsize": " 3 GiB "},
                {"type": "lvm", "logical_volumes": [{"fs_type": "xfs"}]},
            ],
        },
    }
    blueprint_id = kept(client, blueprint("web", customizations=customizations))
    sent = submitted(client, composer, blueprint_id)["customizations"]
    assert sent["disk"]["partitions"] == [
        {"type": "lvm", "minsize": "3 GiB", "logical_volumes": []},
        {"type": "lvm", "logical_volumes": [{"fs_type": "xfs"}]},
    ]
    assert "mode" not in sent["files"][0]
    assert "mode" not in sent["directories"][0]
    assert read(client, kept(client, blueprint("disk", customizations={"disk": {"type": "gpt"}})))[
        "customizations"
    ] == {"disk": {"type": "gpt", "partitions": []}}


def test_a_repository_with_a_url_alone_is_stored_with_a_warning_and_not_built(client: Client) -> None:
    customizations = {"payload_repositories": [{"rhsm": False, "url": "https://r.example.com/"}]}
    blueprint_id = kept(client, blueprint("web", customizations=customizations))
    (warning,) = read(client, blueprint_id)["lint"]["warnings"]
    assert warning["name"] == "Repositories"
    assert "payload_repositories[0]" in warning["description"]
    refusal(client.post(f"/blueprints/{blueprint_id}/compose", {}), 400)


@pytest.mark.parametrize(
    "text",
    [
        'name = "web"\n[customizations]\nhostname = 1979-05-27',
        'name = "web"\n' + "".join(f"unknown{number} = 1\n" for number in range(10_000)),
        'name = "web"\n' + "# a comment\n" * 340_000,
        'name = "web"\na = {' + "\n" * 4_000_000 + "}",
    ],
    ids=["a date where text belongs", "10,000 unknown keys", "4 MiB of comments", "4 MiB in an inline table"],
)
def test_bad_or_large_files_are_answered_and_nothing_is_stored(client: Client, text: str) -> None:
    answer = push(client, text, "")
    if answer.status_code == 201:
        assert "comment" in text
        return
    refusal(answer, 400)
    assert listed(client)["data"] == []


@pytest.mark.parametrize(
    "field",
    [{"name": 7}, {"content_sources": 7}, {"snapshot_date": 7}, {"file_version": 7}, {"distribution": ""}],
    ids=str,
)
def test_the_query_makes_no_invalid_field_valid(client: Client, field: dict[str, Any]) -> None:
    answer = client.post("/blueprints?name=web&distribution=centos-9", {**blueprint("web"), **field})
    refusal(answer, 400)
    assert listed(client)["data"] == []
