"""Importing and exporting blueprints of osbuild in TOML."""

from __future__ import annotations

import tomllib

import pytest
import requests

from tests.support.blueprints import blueprint, bodies, is_known_hash, kept, listed, read, violations
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.service import Client

TOML = "application/toml"
WHOLE = """
name = "hardened"
description = "of mine"
version = "0.0.7"
distro = "centos-9"

[[packages]]
name = "nginx"
version = "*"

[[packages]]
name = "vim"
version = "9.1"

[[modules]]
name = "httpd"

[[groups]]
name = "core"

[customizations]
hostname = "web"
fips = true

[customizations.kernel]
name = "kernel-rt"
append = "quiet audit=1"

[customizations.services]
enabled = ["nginx"]
disabled = ["cups"]
masked = ["rpcbind"]

[[customizations.filesystem]]
mountpoint = "/var"
minsize = "1.5 GiB"

[[customizations.filesystem]]
mountpoint = "/srv"
size = 1048576

[[customizations.user]]
name = "alice"
password = "correct horse battery staple"
key = "ssh-ed25519 AAAA"
groups = ["wheel"]
"""


def post(client: Client, text: str | bytes, query: str = "", media_type: str = TOML) -> requests.Response:
    data = text.encode() if isinstance(text, str) else text
    return client.request("POST", f"/blueprints{query}", data=data, headers={"Content-Type": media_type})


def kept_toml(client: Client, text: str, query: str = "") -> str:
    """Create a blueprint in TOML, which must succeed, and return its id."""
    answer = post(client, text, query)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def as_toml(client: Client, blueprint_id: str) -> str:
    answer = client.get(f"/blueprints/{blueprint_id}/export", headers={"Accept": TOML})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, TOML), answer.text
    return answer.content.decode()


def test_all_fields_of_a_toml_blueprint_are_stored(client: Client, module_database: Parameters) -> None:
    blueprint_id = kept_toml(client, WHOLE)
    found = read(client, blueprint_id)
    assert {name: found[name] for name in ("name", "description", "distribution")} == {
        "name": "hardened",
        "description": "of mine",
        "distribution": "centos-9",
    }
    assert found["customizations"] == {
        "packages": ["nginx", "vim-9.1", "httpd", "@core"],
        "hostname": "web",
        "fips": {"enabled": True},
        "kernel": {"name": "kernel-rt", "append": "quiet audit=1"},
        "services": {"enabled": ["nginx"], "disabled": ["cups"], "masked": ["rpcbind"]},
        "filesystem": [
            {"mountpoint": "/var", "min_size": 3 * 2**29},
            {"mountpoint": "/srv", "min_size": 2**20},
        ],
        "users": [{"name": "alice", "ssh_key": "ssh-ed25519 AAAA", "groups": ["wheel"], "hasPassword": True}],
    }
    (body,) = bodies(module_database, blueprint_id)
    assert is_known_hash(body["customizations"]["users"][0]["password"])


@pytest.mark.parametrize(
    ("query", "image"),
    [
        ("", ("guest-image", "x86_64", "aws.s3")),
        ("?image_type=aws&upload_type=aws", ("aws", "x86_64", "aws")),
        ("?architecture=aarch64", ("guest-image", "aarch64", "aws.s3")),
    ],
)
def test_the_query_names_the_image_of_a_toml_blueprint(client: Client, query: str, image: tuple[str, str, str]) -> None:
    (found,) = read(client, kept_toml(client, 'name = "web"', query))["image_requests"]
    assert (found["image_type"], found["architecture"], found["upload_request"]["type"]) == image


@pytest.mark.parametrize("query", ["?image_type=x", "?architecture=x", "?upload_type=x"])
def test_an_invalid_image_in_the_query_is_refused_by_parameter(client: Client, query: str) -> None:
    assert query[1:].split("=", maxsplit=1)[0] in refusal(post(client, 'name = "web"', query), 400)


def test_a_charset_is_allowed_in_the_media_type(client: Client) -> None:
    assert post(client, 'name = "wäb"', media_type="application/toml; charset=utf-8").status_code == 201
    assert listed(client)["data"][0]["name"] == "wäb"


def test_a_toml_blueprint_without_a_distribution_has_none(client: Client) -> None:
    assert "distribution" not in read(client, kept_toml(client, 'name = "web"'))


def test_unsupported_fields_are_listed_and_the_blueprint_is_not_saved(client: Client) -> None:
    text = 'name = "web"\nof = "mine"\n[customizations]\ntheirs = 1\n[[customizations.user]]\nname = "u"\nshoe = 43\n'
    detail = refusal(post(client, text), 400)
    for path in ("of", "customizations.theirs", "shoe"):
        assert path in detail
    assert detail.startswith("Unsupported fields in the blueprint: ")
    assert listed(client)["data"] == []


def test_the_first_of_many_unsupported_fields_are_named_and_all_are_counted(client: Client) -> None:
    text = 'name = "web"\n' + "".join(f"of{number} = 1\n" for number in range(8_000))
    detail = refusal(post(client, text), 400)
    assert "of0, of1, " in detail
    assert "of19" in detail
    assert "of20" not in detail
    assert "8000" in detail


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "name = ",
        'name = "a"\nname = "b"',
        "name = 7",
        'name = "web"\npackages = ["nginx"]',
        'name = "web"\n[[packages]]\nversion = "*"',
        'name = "web"\n[[customizations.filesystem]]\nmountpoint = "/a"\nminsize = "much"',
        'name = "' + "n" * 101 + '"',
        'name = "web"\ndistro = "nowhere-1"',
        b'name = "\xff"',
    ],
)
def test_a_document_that_is_not_an_osbuild_blueprint_is_refused(client: Client, text: str | bytes) -> None:
    refusal(post(client, text), 400)


def test_a_toml_blueprint_is_checked_by_the_same_rules(client: Client) -> None:
    found = violations(post(client, 'name = " "\n[[customizations.files]]\npath = "/etc/passwd"\n'))
    assert [error["title"] for error in found] == ["blueprint name rule violation", "file rule violation"]
    assert [error["title"] for error in violations(post(client, 'description = "nameless"'))] == [
        "blueprint name rule violation"
    ]


@pytest.mark.parametrize("media_type", ["text/plain", "application/yaml", "text/toml"])
def test_other_media_types_are_refused(client: Client, media_type: str) -> None:
    refusal(post(client, 'name = "web"', media_type=media_type), 415)


def test_a_change_is_accepted_in_toml(client: Client) -> None:
    blueprint_id = kept(client)
    answer = client.request(
        "PUT",
        f"/blueprints/{blueprint_id}?image_type=vsphere",
        data=b'name = "x"\ndistro = "centos-9"\n[[packages]]\nname = "tmux"',
        headers={"Content-Type": TOML},
    )
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    found = read(client, blueprint_id)
    assert (found["name"], found["customizations"]) == ("x", {"packages": ["tmux"]})
    assert [image["image_type"] for image in found["image_requests"]] == ["vsphere"]


# Handing on


def test_a_toml_blueprint_is_exported_as_the_same_blueprint(client: Client) -> None:
    first = kept_toml(client, WHOLE)
    text = as_toml(client, first)
    written = tomllib.loads(text)
    assert (written["name"], written["description"], written["distro"]) == ("hardened", "of mine", "centos-9")
    again = read(client, kept_toml(client, text.replace('"hardened"', '"again"')))["customizations"]
    before = read(client, first)["customizations"]
    (user,), (user_before,) = again.pop("users"), before.pop("users")
    assert sorted(again.pop("packages")) == sorted(before.pop("packages"))
    assert again == before
    assert user == {**user_before, "hasPassword": False}


def test_fields_that_toml_cannot_express_are_named(client: Client) -> None:
    document = blueprint(
        "web",
        bootc={"reference": "registry.example.com/image:latest"},
        customizations={"payload_repositories": [{"baseurl": "https://r.example.com/", "rhsm": False}]},
    )
    text = as_toml(client, kept(client, document))
    remarks = [line for line in text.splitlines() if line.startswith("#")]
    assert any("bootc" in line for line in remarks)
    assert any("payload_repositories" in line for line in remarks)
    assert tomllib.loads(text)["name"] == "web"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/json", "application/json"),
        ("application/json, application/toml;q=0.5", "application/json"),
        ("application/json;q=0.5, application/toml", TOML),
        ("application/toml", TOML),
        ("application/toml, */*;q=0.1", TOML),
    ],
)
def test_json_is_the_default_format(client: Client, accept: str | None, media_type: str) -> None:
    answer = client.get(f"/blueprints/{kept(client)}/export", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
    assert "accept" in answer.headers["Vary"].lower()


def test_an_overlong_accept_header_is_ignored(client: Client) -> None:
    path = f"/blueprints/{kept(client)}/export"
    for repeated, media_type in ((100, TOML), (200, "application/json")):
        answer = client.get(path, headers={"Accept": TOML + ", a/b;q=0.1" * repeated})
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, media_type)


def test_an_error_is_json_even_if_toml_is_requested(client: Client) -> None:
    refusal(client.get("/blueprints/7709b691-15a9-4dae-ae96-d6584b9f389f/export", headers={"Accept": TOML}), 404)
