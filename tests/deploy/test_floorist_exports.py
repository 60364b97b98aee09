"""The exports of the FloorPlan, run on a migrated database with new rows and rows of older versions."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.builders import SUBSCRIPTION, compose_request
from tests.support.databases import Parameters, session
from tests.support.openshift import template, the
from tests.support.rows import insert_blueprint_version, insert_compose

SECRET = "correct horse battery"
PERSON = "somebody@example.com"
TEXTS = (SECRET, PERSON, "pet project", SUBSCRIPTION["activation-key"] + "ey-of-somebody")
# What parquet takes from a query without guessing at objects.
PLAIN = {"text", "varchar", "bool", "int4", "int8", "timestamp"}


def query(export: str) -> str:
    queries = the(template("image-builder")["objects"], "FloorPlan")["spec"]["queries"]
    (found,) = [each["query"] for each in queries if each["prefix"].endswith(f"/{export}")]
    return str(found)


def exported(database: Parameters, export: str) -> list[dict[str, Any]]:
    with session(database) as connection:
        rows = connection.cursor(row_factory=psycopg.rows.dict_row)
        return rows.execute(query(export).encode()).fetchall()


def the_build(database: Parameters, request: Any = None, **fields: Any) -> dict[str, Any]:
    """The exported row of a compose with this request."""
    job_id = insert_compose(database, uuid4().hex, request, **fields)
    (row,) = [each for each in exported(database, "builds") if each["job_id"] == str(job_id)]
    return row


def set_body(database: Parameters, version: UUID, body: Any) -> None:
    with session(database) as connection:
        connection.execute("UPDATE blueprint_versions SET body = %s WHERE id = %s", (Jsonb(body), version))


def the_blueprint(database: Parameters, body: Any) -> dict[str, Any]:
    """The exported row of a blueprint with this body."""
    blueprint, version = insert_blueprint_version(database, uuid4().hex, 1)
    set_body(database, version, body)
    (row,) = [each for each in exported(database, "blueprints") if each["blueprint_id"] == str(blueprint)]
    return row


def test_there_are_two_exports():
    queries = the(template("image-builder")["objects"], "FloorPlan")["spec"]["queries"]
    assert [each["prefix"].rsplit("/", 1)[-1] for each in queries] == ["builds", "blueprints"]


@pytest.mark.parametrize("export", ["builds", "blueprints"])
def test_columns_have_unique_names_and_plain_types(module_database: Parameters, export: str):
    with session(module_database) as connection:
        columns = connection.execute(query(export).encode()).description
        assert columns is not None
        assert len({column.name for column in columns}) == len(columns)
        types = {connection.adapters.types[column.type_code].name for column in columns}
    assert types <= PLAIN


def test_a_compose_is_exported_with_its_image_type_and_target(module_database: Parameters):
    request = compose_request(
        "aws",
        "aws",
        image={"snapshot_date": "2026-01-31", "size": 10737418240},
        distribution="rhel-9",
        customizations={
            "packages": ["vim", "tmux"],
            "users": [{"name": "a", "password": SECRET}],
            "subscription": SUBSCRIPTION,
            "openscap": {"profile_id": "xccdf_cis"},
        },
    )
    row = the_build(module_database, request, client_id="ui")
    told = ("distribution", "image_type", "upload_target", "architecture", "snapshot_date", "size", "client_id")
    assert [row[name] for name in told] == ["rhel-9", "aws", "aws", "x86_64", "2026-01-31", "10737418240", "ui"]
    assert (row["packages"], row["users"], row["registered"], row["openscap_profile"]) == (2, 1, True, "xccdf_cis")


def test_a_compose_of_a_blueprint_is_exported_with_the_blueprint_version(module_database: Parameters):
    blueprint, version = insert_blueprint_version(module_database, uuid4().hex, 7)
    row = the_build(module_database, blueprint_version_id=version)
    assert (row["blueprint_id"], row["blueprint_version"]) == (str(blueprint), 7)


@pytest.mark.parametrize(
    "request_of_old",
    [
        {},
        [],
        {"image_requests": {}, "customizations": []},
        {"image_requests": [], "customizations": None},
        {"image_requests": [None], "customizations": {"users": {"name": "a"}, "packages": "vim", "subscription": None}},
    ],
)
def test_a_compose_with_a_request_of_any_shape_is_exported(module_database: Parameters, request_of_old: Any):
    row = the_build(module_database, request_of_old)
    assert (row["image_type"], row["packages"], row["users"], row["registered"]) == (None, 0, 0, False)


def test_deleted_composes_are_exported_as_deleted(module_database: Parameters):
    assert the_build(module_database, deleted=True)["deleted"] is True


def test_a_blueprint_is_exported_with_its_latest_version(module_database: Parameters):
    tenant = uuid4().hex
    blueprint, first = insert_blueprint_version(module_database, tenant, 1)
    with session(module_database) as connection:
        connection.execute(
            "INSERT INTO blueprint_versions (id, blueprint_id, version, body, created_at) "
            "VALUES (gen_random_uuid(), %s, 2, %s, now())",
            (blueprint, Jsonb({"distribution": "rhel-10"})),
        )
    insert_compose(module_database, tenant, blueprint_version_id=first)
    (row,) = [each for each in exported(module_database, "blueprints") if each["blueprint_id"] == str(blueprint)]
    assert (row["version"], row["distribution"], row["builds"]) == (2, "rhel-10", 1)


def test_a_blueprint_is_exported_with_its_image_types_and_the_numbers_of_its_customizations(
    module_database: Parameters,
):
    images = [{"image_type": "guest-image"}, {"image_type": "aws"}]
    body = {"distribution": "rhel-9", "image_requests": images, "customizations": {"users": [{}, {}], "packages": [""]}}
    row = the_blueprint(module_database, body)
    assert (row["image_types"], row["users"], row["packages"], row["is_on_prem"]) == ("aws,guest-image", 2, 1, False)


def test_an_imported_blueprint_is_exported_as_imported(module_database: Parameters):
    blueprint, _ = insert_blueprint_version(module_database, uuid4().hex, 1)
    metadata = Jsonb({"is_on_prem": True, "parent_id": "9b2a"})
    with session(module_database) as connection:
        connection.execute("UPDATE blueprints SET metadata = %s WHERE id = %s", (metadata, blueprint))
    (row,) = [each for each in exported(module_database, "blueprints") if each["blueprint_id"] == str(blueprint)]
    assert (row["is_on_prem"], row["parent_id"]) == (True, "9b2a")


@pytest.mark.parametrize("body", [{}, [], {"image_requests": {}}, {"image_requests": [None], "customizations": "x"}])
def test_a_blueprint_with_a_body_of_any_shape_is_exported(module_database: Parameters, body: Any):
    row = the_blueprint(module_database, body)
    assert (row["image_types"], row["users"]) == (None, 0)


def test_a_blueprint_without_a_version_is_exported(module_database: Parameters):
    blueprint, version = insert_blueprint_version(module_database, uuid4().hex, 1)
    with session(module_database) as connection:
        connection.execute("DELETE FROM blueprint_versions WHERE id = %s", (version,))
    (row,) = [each for each in exported(module_database, "blueprints") if each["blueprint_id"] == str(blueprint)]
    assert (row["version"], row["builds"]) == (None, 0)


def test_no_text_written_by_users_is_exported(module_database: Parameters):
    key = TEXTS[-1]
    customizations = {
        "users": [{"name": PERSON, "password": SECRET, "ssh_key": SECRET}],
        "subscription": {**SUBSCRIPTION, "activation-key": key},
        "files": [{"path": "/x", "data": SECRET}],
        "hostname": "pet project",
    }
    request = compose_request(customizations=customizations, image_name="pet project")
    build = the_build(module_database, request, email=PERSON, image_name="pet project")
    blueprint = the_blueprint(module_database, {"customizations": customizations, "description": "pet project"})
    assert [text for text in TEXTS if text in f"{build}{blueprint}"] == []
