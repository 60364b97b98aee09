"""Blueprints as a client sees them: requests, and checks of their answers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import requests
from psycopg.types.json import Jsonb

from tests.support.builders import image_request
from tests.support.databases import Parameters, session
from tests.support.rows import now
from tests.support.service import Client

NOT_UNIQUE = {"title": "Name not unique", "detail": "A blueprint with the same name already exists."}
_BLUEPRINT = """
INSERT INTO blueprints (id, org_id, account_number, name, description, created_at, metadata)
VALUES (%(id)s, %(org_id)s, %(account_number)s, %(name)s, %(description)s, %(created_at)s, %(metadata)s)
"""
_FOR_LISTS = ("latest_version", "changed_at", "lower_name", "lower_description")
UNKNOWN = "7709b691-15a9-4dae-ae96-d6584b9f389f"


def blueprint(name: str = "web", *images: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A CreateBlueprintRequest with these images, by default a guest image; fields that are None are omitted."""
    document = {
        "name": name,
        "distribution": "centos-9",
        "image_requests": list(images) or [image_request()],
        "customizations": {},
        **fields,
    }
    return {name: value for name, value in document.items() if value is not None}


def with_users(name: str, *users: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A blueprint with these users."""
    return blueprint(name, customizations={"users": list(users)}, **fields)


def kept(client: Client, document: dict[str, Any] | None = None, **fields: Any) -> str:
    """Create a blueprint, which must succeed, and return its id."""
    answer = client.post("/blueprints", document or blueprint(**fields))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def put(client: Client, blueprint_id: str, document: dict[str, Any], if_match: str | None = None) -> requests.Response:
    """The answer to PUT /blueprints/{id}."""
    headers = {} if if_match is None else {"If-Match": if_match}
    return client.request("PUT", f"/blueprints/{blueprint_id}", json=document, headers=headers)


def changed(client: Client, blueprint_id: str, document: dict[str, Any]) -> None:
    """Change a blueprint, which must succeed."""
    answer = put(client, blueprint_id, document)
    assert (answer.status_code, answer.json()) == (200, {"id": blueprint_id})


def read(client: Client, blueprint_id: str, query: str = "") -> dict[str, Any]:
    """Read a blueprint, which must succeed."""
    answer = client.get(f"/blueprints/{blueprint_id}{query}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def listed(client: Client, query: str = "") -> dict[str, Any]:
    """A page of the list."""
    answer = client.get(f"/blueprints{query}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def names(page: dict[str, Any]) -> list[str]:
    """The names on a page."""
    return [item["name"] for item in page["data"]]


def exported(client: Client, blueprint_id: str) -> dict[str, Any]:
    """Export a blueprint as JSON, which must succeed."""
    answer = client.get(f"/blueprints/{blueprint_id}/export")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def composed(client: Client, blueprint_id: str, *image_types: str) -> list[str]:
    """Build a blueprint, and return the ids of the builds, which all must start."""
    answer = client.post(f"/blueprints/{blueprint_id}/compose", {"image_types": image_types} if image_types else None)
    assert answer.status_code == 201, answer.text
    return [each["id"] for each in answer.json()]


def composes_of(client: Client, blueprint_id: str, query: str = "") -> dict[str, Any]:
    """A page of the composes of a blueprint."""
    answer = client.get(f"/blueprints/{blueprint_id}/composes{query}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def violations(answer: requests.Response) -> list[dict[str, str]]:
    """The violated rules that an error names; there must be at least one."""
    assert answer.status_code == 422, answer.text
    errors: list[dict[str, str]] = answer.json()["errors"]
    return errors


def descriptions(remarks: Iterable[dict[str, str]]) -> list[str]:
    """The descriptions of lint results, which all must be about compliance."""
    remarks = list(remarks)
    assert {remark["name"] for remark in remarks} <= {"Compliance"}
    return [remark["description"] for remark in remarks]


def bodies(database: Parameters, blueprint_id: str | UUID) -> list[dict[str, Any]]:
    """The stored bodies of a blueprint's versions, the first one first."""
    return [body for _, body, _ in stored_versions(database, blueprint_id)]


def stored_versions(database: Parameters, blueprint_id: str | UUID) -> list[tuple[int, dict[str, Any], Any]]:
    """Number, body and snapshots of a blueprint's versions, the first one first."""
    with session(database) as connection:
        return connection.execute(
            "SELECT version, body, service_snapshots FROM blueprint_versions WHERE blueprint_id = %s ORDER BY version",
            (blueprint_id,),
        ).fetchall()


def stored_blueprint(database: Parameters, blueprint_id: str | UUID) -> dict[str, Any]:
    """The columns of a blueprint that the older program uses."""
    with session(database) as connection:
        cursor = connection.execute("SELECT * FROM blueprints WHERE id = %s", (blueprint_id,))
        row = cursor.fetchone()
        assert row is not None, "there is no such row"
        assert cursor.description is not None
        columns = dict(zip([column.name for column in cursor.description], row, strict=True))
    return {name: value for name, value in columns.items() if name not in _FOR_LISTS}


def insert_blueprint(database: Parameters, tenant: str, name: str, *versions: Any, **fields: Any) -> UUID:
    """Insert a blueprint as an older program stores it, with these bodies; `fields` replace columns."""
    row = {
        "id": uuid4(),
        "org_id": tenant,
        "account_number": "",
        "name": name,
        "description": None,
        "created_at": now(),
        "metadata": None,
        **fields,
    }
    with session(database) as connection:
        connection.execute(_BLUEPRINT, row)
    for number, body in enumerate(versions, start=1):
        insert_version(database, row["id"], number, body)
    return UUID(str(row["id"]))


def insert_version(
    database: Parameters, blueprint_id: str | UUID, number: int, body: Any, snapshots: Any = None
) -> UUID:
    """Insert a version as an older program does, in a separate session."""
    with session(database) as connection:
        return add_version(connection, blueprint_id, number, body, snapshots)


def add_version(
    connection: psycopg.Connection[Any], blueprint_id: str | UUID, number: int, body: Any, snapshots: Any = None
) -> UUID:
    """Insert a version as an older program does, in an existing session."""
    version_id = uuid4()
    connection.execute(
        "INSERT INTO blueprint_versions (id, blueprint_id, version, body, created_at, service_snapshots) "
        "VALUES (%s, %s, %s, %s, %s, %s)",
        (version_id, blueprint_id, number, Jsonb(body), now(), None if snapshots is None else Jsonb(snapshots)),
    )
    return version_id


def is_known_hash(text: str) -> bool:
    """Whether a text is a SHA-512 crypt hash with 16 characters of salt."""
    return re.fullmatch(r"\$6\$(rounds=\d+\$)?[./A-Za-z0-9]{16}\$[./A-Za-z0-9]{86}", text) is not None


def push(client: Client, text: str, query: str = "?on_conflict=update") -> requests.Response:
    """Send a blueprint file in TOML."""
    return client.request(
        "POST", f"/blueprints{query}", data=text.encode(), headers={"Content-Type": "application/toml"}
    )


def pushed(client: Client, text: str, query: str = "?on_conflict=update") -> str:
    """Send a blueprint file in TOML, which must be accepted; return the blueprint's id."""
    answer = push(client, text, query)
    assert answer.status_code in {200, 201}, answer.text
    return str(answer.json()["id"])


def as_toml(client: Client, blueprint_id: str) -> str:
    """The export of a blueprint in TOML."""
    answer = client.get(f"/blueprints/{blueprint_id}/export", headers={"Accept": "application/toml"})
    assert answer.status_code == 200, answer.text
    return answer.content.decode()
