"""Distributions may have osbuild's names in requests; the folder's name is stored and answered."""

from __future__ import annotations

import pytest

from tests.support.builders import compose_request
from tests.support.service import Client

TOML = {"Content-Type": "application/toml"}


def test_a_build_is_stored_with_the_folders_name(client: Client) -> None:
    compose_id = client.compose(compose_request(distribution="centos-stream-9"))
    assert client.get(f"/composes/{compose_id}").json()["request"]["distribution"] == "centos-9"


def test_a_json_blueprint_is_stored_with_the_folders_name(client: Client) -> None:
    body = {
        "name": "spelled",
        "distribution": "centos-stream-9",
        "image_requests": compose_request()["image_requests"],
        "customizations": {},
    }
    created = client.post("/blueprints", body)
    assert created.status_code == 201, created.text
    path = f"/blueprints/{created.json()['id']}"
    assert client.get(path).json()["distribution"] == "centos-9"
    changed = client.request("PUT", path, json={**body, "distribution": "centos-stream-10"})
    assert changed.ok, changed.text
    assert client.get(path).json()["distribution"] == "centos-10"


def test_a_toml_blueprint_is_stored_with_the_folders_name(client: Client) -> None:
    created = client.post("/blueprints", data='name = "toml"\ndistro = "centos-stream-9"\n', headers=TOML)
    assert created.status_code == 201, created.text
    assert client.get(f"/blueprints/{created.json()['id']}").json()["distribution"] == "centos-9"


@pytest.mark.parametrize(
    "path",
    [
        "/architectures/{}",
        "/distributions/{}",
        "/oscap/{}/profiles",
        "/packages?distribution={}&architecture=x86_64&search=vim",
    ],
)
def test_paths_and_queries_accept_other_spellings(client: Client, path: str) -> None:
    assert client.get(path.format("centos-stream-9")).json() == client.get(path.format("centos-9")).json()
    assert client.get(path.format("centos-stream-9")).status_code == 200


def test_the_error_repeats_an_unknown_name_as_it_was_sent(client: Client) -> None:
    answer = client.post("/compose", compose_request(distribution="centos-stream-7"))
    assert answer.status_code == 400
