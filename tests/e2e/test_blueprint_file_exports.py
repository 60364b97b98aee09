"""Exports of blueprints, which can be pushed again (openapi.yaml, exportBlueprint)."""

from __future__ import annotations

import tomllib

from tests.support.blueprints import as_toml, blueprint, kept, push, pushed, read
from tests.support.service import Client


def test_the_file_s_version_is_exported_with_the_blueprint_s_version(client: Client) -> None:
    blueprint_id = pushed(client, 'name = "web"\nversion = "4.5.6"')
    assert tomllib.loads(as_toml(client, blueprint_id))["version"] == "4.5.6"
    assert read(client, blueprint_id)["file_version"] == "4.5.6"
    push(client, 'name = "web"')
    assert "version" not in tomllib.loads(as_toml(client, blueprint_id))
    assert read(client, blueprint_id, "?version=1")["file_version"] == "4.5.6"


def test_a_toml_export_is_posted_again_as_the_same_blueprint(client: Client) -> None:
    text = (
        'name = "web"\nversion = "1.0"\ndistro = "centos-9"\narchitecture = "aarch64"\n'
        "[customizations.disk]\ntype = 'gpt'\n"
        '[[customizations.disk.partitions]]\nfs_type = "xfs"\nmountpoint = "/data"\n'
        '[[customizations.disk.partitions]]\ntype = "lvm"\n'
        '[[customizations.disk.partitions.logical_volumes]]\nfs_type = "xfs"\nmountpoint = "/"\nminsize = "8 GiB"\n'
    )
    blueprint_id = pushed(client, text)
    exported = as_toml(client, blueprint_id)
    assert exported.count("[[customizations.disk.partitions]]") == 2
    assert exported.count("[[customizations.disk.partitions.logical_volumes]]") == 1
    answer = push(client, exported)
    assert (answer.status_code, answer.headers["ETag"], answer.json()["id"]) == (200, '"1"', blueprint_id)


def test_a_toml_export_names_all_that_it_leaves_out(client: Client) -> None:
    customizations = {
        "users": [{"name": "u", "password": "a secret"}],
        "cacerts": {"pem_certs": ["A"]},
        "aap_registration": {"ansible_callback_url": "https://aap.example.com/", "host_config_key": "a key"},
    }
    text = as_toml(client, kept(client, blueprint("web", customizations=customizations)))
    assert [line for line in text.splitlines() if line.startswith("# -")] == [
        "# - image_requests",
        "# - customizations.cacerts",
        "# - customizations.users[0].password",
        "# - customizations.aap_registration.host_config_key",
        "# - customizations.aap_registration",
    ]


def test_a_json_export_is_posted_as_it_is(client: Client) -> None:
    document = blueprint("web", customizations={"packages": ["tmux"], "users": [{"name": "u", "password": "secret"}]})
    document["image_requests"][0]["snapshot_date"] = "2026-01-31"
    exported = client.get(f"/blueprints/{kept(client, document)}/export").json()
    assert exported["metadata"]["redacted"] == ["image_requests", "customizations.users[0].password"]
    answer = client.post("/blueprints?image_type=vsphere", {**exported, "name": "again"})
    assert answer.status_code == 201, answer.text
    found = read(client, answer.json()["id"])
    (image,) = found["image_requests"]
    assert (image["image_type"], image["snapshot_date"]) == ("vsphere", "2026-01-31")
    assert found["customizations"] == {
        "packages": ["tmux"],
        "users": [{"name": "u", "hasPassword": False}],
    }
