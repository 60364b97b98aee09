"""Blueprints are created, read, changed in versions and deleted by the running service."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.blueprints import (
    NOT_UNIQUE,
    UNKNOWN,
    blueprint,
    changed,
    insert_blueprint,
    insert_version,
    kept,
    listed,
    put,
    read,
    stored_blueprint,
    stored_versions,
    violations,
)
from tests.support.builders import image_request
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.service import Client, Service

BASES = ["/api/image-builder/v1", "/api/image-builder/v1.0", "/api/v1/image-builder"]
BOOTC = {"reference": "registry.example.com/image:latest"}
NOTHING_TO_SAY = {"errors": [], "warnings": []}


def test_a_created_blueprint_is_returned_by_reading(client: Client) -> None:
    document = blueprint(
        "web",
        image_request(),
        image_request("aws", "aws"),
        description="of mine",
        customizations={"packages": ["nginx"], "files": [{"path": "/etc/motd", "data": "hi", "mode": "0644"}]},
    )
    answer = client.post("/blueprints", document)
    assert answer.status_code == 201
    assert list(answer.json()) == ["id"]
    # What the contract has a default for is filled in.
    document["customizations"]["files"][0] |= {"data_encoding": "plain", "ensure_parents": False}
    added = {"id": answer.json()["id"], "lint": NOTHING_TO_SAY, "created_by": "u", "modified_by": "u"}
    assert read(client, answer.json()["id"]) == {**document, **added}


@pytest.mark.parametrize("base", BASES)
def test_blueprints_are_answered_below_every_base(client: Client, base: str) -> None:
    answer = client.post("/blueprints", blueprint(), base=base)
    assert answer.status_code == 201
    assert client.get(f"/blueprints/{answer.json()['id']}", base=base).json()["name"] == "web"


def test_a_missing_description_is_answered_as_empty(client: Client) -> None:
    blueprint_id = kept(client, description=None)
    assert read(client, blueprint_id)["description"] == ""
    changed(client, blueprint_id, blueprint(description="x"))
    changed(client, blueprint_id, blueprint())
    assert read(client, blueprint_id)["description"] == ""


@pytest.mark.parametrize(
    ("source", "answered"),
    [
        ({"distribution": "centos-9"}, {"distribution"}),
        ({"distribution": None, "bootc": BOOTC}, {"bootc"}),
        ({"distribution": "centos-9", "bootc": BOOTC}, {"distribution", "bootc"}),
        ({"distribution": None}, set()),
    ],
)
def test_the_distribution_is_checked_when_a_blueprint_is_built_not_when_it_is_saved(
    client: Client, source: dict[str, Any], answered: set[str]
) -> None:
    blueprint_id = kept(client, **source)
    changed(client, blueprint_id, blueprint("renamed", **source))
    assert {"distribution", "bootc"} & set(read(client, blueprint_id)) == answered


@pytest.mark.parametrize("upload", ["aws", "azure"])
def test_an_upload_target_without_account_details_can_be_saved(client: Client, upload: str) -> None:
    assert read(client, kept(client, blueprint("web", image_request(upload, upload, options={}))))


def test_names_and_descriptions_up_to_their_limit_are_stored_unchanged(client: Client) -> None:
    name, description = " " + "n" * 98 + " ", "d" * 250
    found = read(client, kept(client, name=name, description=description))
    assert (found["name"], found["description"]) == (name, description)


@pytest.mark.parametrize("field", [{"name": "n" * 101}, {"description": "d" * 251}])
def test_names_and_descriptions_beyond_their_limit_are_refused_by_field(client: Client, field: dict[str, str]) -> None:
    assert next(iter(field)) in refusal(client.post("/blueprints", blueprint(**field)), 400)


@pytest.mark.parametrize("missing", ["name", "customizations"])
def test_missing_required_fields_are_refused(client: Client, missing: str) -> None:
    document = blueprint()
    del document[missing]
    assert missing in refusal(client.post("/blueprints", document), 400)


@pytest.mark.parametrize(
    "fields", [{"image_requests": []}, {"image_requests": [image_request()] * 2}, {"of": "mine"}, {"bootc": "x"}]
)
def test_values_that_violate_the_contract_are_refused(client: Client, fields: dict[str, Any]) -> None:
    refusal(client.post("/blueprints", blueprint(**fields)), 400)


# Rules


def test_all_violations_are_listed_together_in_the_order_of_the_rules(client: Client) -> None:
    document = blueprint(
        " ",
        customizations={
            "filesystem": [{"mountpoint": "", "min_size": 0}, {"mountpoint": "/a/", "min_size": 1}],
            "directories": [{"path": "/usr/x"}],
            "files": [{"path": "etc/x"}, {"path": "/etc/passwd"}, {"path": "/etc/x", "mode": "rwx"}],
            "users": [{"name": ""}],
        },
    )
    blueprint_id = kept(client)
    for answer in (client.post("/blueprints", document), put(client, blueprint_id, document)):
        found = violations(answer)
        assert [error["title"] for error in found] == [
            "blueprint name rule violation",
            "user rule violation",
            *["file rule violation"] * 3,
            "directory rule violation",
            *["filesystem rule violation"] * 3,
        ]
        assert [error["detail"] for error in found][1:4] == [
            "missing user name",
            'file "etc/x": path "etc/x" must be absolute',
            'file "/etc/passwd": path "/etc/passwd" is not allowed',
        ]
        assert [error["detail"] for error in found][5:] == [
            'directory "/usr/x": path "/usr/x" is not allowed',
            "mountpoint must not be empty",
            'mountpoint "/a/" must be canonical',
            'mountpoint "/a/" minimum size must be at least 1MB',
        ]
    assert listed(client)["meta"]["count"] == 1
    assert read(client, blueprint_id)["name"] == "web"


def test_the_first_of_many_violations_are_listed_and_all_are_counted(client: Client) -> None:
    files = [{"path": f"/usr/{number}/{'a' * 2000}"} for number in range(1_000)]
    document = blueprint("web", customizations={"files": files})
    blueprint_id = kept(client)
    for answer in (client.post("/blueprints", document), put(client, blueprint_id, document)):
        found = violations(answer)
        assert [error["title"] for error in found] == [*["file rule violation"] * 20, "More violations"]
        assert "1000" in found[-1]["detail"]
        assert len(answer.content) < 200_000


@pytest.mark.parametrize("path", ["/usr/local/bin/x", "/etc/x", "/binary"])
def test_paths_outside_the_denied_trees_are_accepted(client: Client, path: str) -> None:
    assert kept(client, customizations={"files": [{"path": path}], "directories": [{"path": path + ".d"}]})


@pytest.mark.parametrize("size", [-1, 1.5, "1 GiB", 2**64])
@pytest.mark.parametrize("where", ["size", "min_size"])
def test_a_size_that_is_not_a_number_of_bytes_is_refused_by_field(client: Client, where: str, size: Any) -> None:
    document = (
        blueprint("web", image_request(size=size))
        if where == "size"
        else blueprint(customizations={"filesystem": [{"mountpoint": "/", "min_size": size}]})
    )
    assert where in refusal(client.post("/blueprints", document), 400)


def test_a_name_is_unique_for_creation_and_renaming(client: Client) -> None:
    kept(client, name="taken")
    blueprint_id = kept(client, name="web")
    assert violations(client.post("/blueprints", blueprint("taken"))) == [NOT_UNIQUE]
    assert violations(put(client, blueprint_id, blueprint("taken"))) == [NOT_UNIQUE]
    assert listed(client, "?name=web")["data"][0]["version"] == 1


def test_another_organization_may_have_the_same_name(client: Client, service: Service) -> None:
    kept(client)
    assert kept(service.client("somebody else"))


# Versions


def test_a_change_creates_the_next_version_and_keeps_the_earlier_versions(client: Client) -> None:
    blueprint_id = kept(client, name="one", customizations={"packages": ["a"]})
    changed(client, blueprint_id, blueprint("two", description="second", customizations={"packages": ["b"]}))
    first, second = read(client, blueprint_id, "?version=1"), read(client, blueprint_id, "?version=2")
    assert first["customizations"] == {"packages": ["a"]}
    assert second["customizations"] == {"packages": ["b"]}
    # Present ones, whatever the version.
    assert (first["name"], first["description"]) == (second["name"], second["description"]) == ("two", "second")
    assert read(client, blueprint_id) == read(client, blueprint_id, "?version=-1") == second


@pytest.mark.parametrize("version", ["0", "-2", "-9999999999", "x", "1.0", ""])
def test_an_invalid_version_is_refused(client: Client, version: str) -> None:
    refusal(client.get(f"/blueprints/{kept(client)}?version={version}"), 400)


@pytest.mark.parametrize("version", ["2", "2147483648", "9223372036854775807"])
def test_an_unknown_version_is_not_found(client: Client, version: str) -> None:
    refusal(client.get(f"/blueprints/{kept(client)}?version={version}"), 404)


def test_the_origin_of_an_imported_blueprint_is_stored_once_and_never_answered(
    client: Client, module_database: Parameters
) -> None:
    metadata = {"parent_id": UNKNOWN, "exported_at": "2025-01-01T00:00:00Z"}
    blueprint_id = kept(client, metadata=metadata)
    changed(client, blueprint_id, blueprint(metadata={**metadata, "parent_id": None, "is_on_prem": True}))
    assert stored_blueprint(module_database, blueprint_id)["metadata"] == {**metadata, "is_on_prem": False}
    assert "metadata" not in read(client, blueprint_id)


def test_the_stored_body_has_the_keys_that_other_programs_read(
    client: Client, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = kept(client, customizations={"packages": ["a"]})
    expected = {"distribution": "centos-9", "image_requests": [image_request()], "customizations": {"packages": ["a"]}}
    assert stored_versions(module_database, blueprint_id) == [(1, expected, None)]
    row = stored_blueprint(module_database, blueprint_id)
    assert (row["org_id"], row["account_number"], row["deleted"]) == (tenant, "7", False)


# Deleting


def test_a_deleted_blueprint_is_not_found_and_its_name_is_free(client: Client) -> None:
    blueprint_id = kept(client)
    answer = client.delete(f"/blueprints/{blueprint_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert listed(client)["meta"]["count"] == 0
    assert kept(client) != blueprint_id
    refusal(client.delete(f"/blueprints/{blueprint_id}"), 404)


def everything(client: Client, blueprint_id: str) -> list[Any]:
    """The answers of all operations on one blueprint."""
    path = f"/blueprints/{blueprint_id}"
    return [
        client.get(path),
        client.get(f"{path}?version=1"),
        client.get(f"{path}/export"),
        client.get(f"{path}/export", headers={"Accept": "application/toml"}),
        client.get(f"{path}/composes"),
        client.post(f"{path}/compose"),
        client.post(f"/experimental{path}/fixup"),
        put(client, blueprint_id, blueprint("new")),
        put(client, blueprint_id, blueprint("new"), '"1"'),
        client.delete(path),
    ]


def test_deleted_unknown_and_other_organizations_blueprints_get_the_same_404_from_every_operation(
    client: Client, service: Service
) -> None:
    deleted, others = kept(client), kept(service.client("another"), name="anothers")
    client.delete(f"/blueprints/{deleted}")
    details = [[refusal(answer, 404) for answer in everything(client, each)] for each in (deleted, others, UNKNOWN)]
    assert details[0] == details[1] == details[2]
    assert read(service.client("another"), others)["name"] == "anothers"


def test_every_operation_refuses_an_invalid_blueprint_id(client: Client) -> None:
    for answer in everything(client, "7"):
        refusal(answer, 400)


def test_every_operation_requires_an_identity(client: Client, service: Service) -> None:
    blueprint_id = kept(client)
    nobody = Client(service.url, {})
    for answer in (*everything(nobody, blueprint_id), nobody.get("/blueprints"), nobody.post("/blueprints", {})):
        refusal(answer, 401)


# Old rows

OLD_BODIES: list[Any] = [
    {},
    {"customizations": None, "image_requests": None},
    {**blueprint("inner", description="inner"), "metadata": {"parent_id": None}},
    blueprint(customizations={"users": [{"name": "u", "password": "$6$salt$old-secret", "hasPassword": True}]}),
    blueprint(customizations={"openscap": {"profile_id": "p", "policy_id": "00000000-0000-0000-0000-000000000000"}}),
    blueprint(customizations={"kernel": {"append": " audit=1"}}),
    blueprint("web", {**image_request("no-longer-known"), "upload_request": {"type": "nowhere", "options": None}}),
]


@pytest.mark.parametrize("body", OLD_BODIES, ids=range(len(OLD_BODIES)))
def test_older_rows_are_read_listed_exported_changed_and_deleted(
    client: Client, module_database: Parameters, tenant: str, body: Any
) -> None:
    name = "n" * 200
    blueprint_id = str(insert_blueprint(module_database, tenant, name, body))
    insert_version(module_database, blueprint_id, 2, body)
    answers = client.get(f"/blueprints/{blueprint_id}"), client.get(f"/blueprints/{blueprint_id}/export")
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert (answer.json()["name"], answer.json()["description"]) == (name, "")
        assert "old-secret" not in answer.text
        assert "null" not in answer.text
        assert "00000000-0000" not in answer.text
    assert set(answers[0].json()) - {"distribution"} == {
        *("id", "name", "description", "lint", "image_requests", "customizations")
    }
    assert listed(client)["data"][0]["name"] == name
    changed(client, blueprint_id, blueprint("new"))
    assert client.delete(f"/blueprints/{blueprint_id}").status_code == 204
