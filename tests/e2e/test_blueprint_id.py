"""The composer receives the blueprint id of a build, which distinguishes builds whose answer was lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
import requests
from psycopg.types.json import Jsonb

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import blueprint, changed, composed, kept
from tests.support.builders import compose_request, image_request
from tests.support.databases import Parameters, session
from tests.support.pods import RECONCILING
from tests.support.refusals import refusal
from tests.support.rows import counts, insert_blueprint_version, now, stored_row
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE

SECRET = "secret-of-the-rows"
HASTY = {**RECONCILING, "FINGERPRINT_SECRET": SECRET}
BLUEPRINT = "7709b691-15a9-4dae-ae96-d6584b9f389f"


@pytest.fixture
def service(module_database: Parameters, composer: StandInComposer) -> Iterator[Service]:
    """A service that reconciles within seconds, with closed circuit breakers."""
    with Service(module_database, composer.url, environment=HASTY) as running:
        yield running


def told(composer: StandInComposer, compose_id: str) -> dict[str, Any]:
    """The request of a build at the composer."""
    metadata = requests.get(f"{composer.api_url}/composes/{compose_id}/metadata", timeout=PATIENCE).json()
    request: dict[str, Any] = metadata["request"]
    return request


def in_time(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ids_at(composer: StandInComposer) -> list[str]:
    return [item["id"] for item in requests.get(f"{composer.api_url}/composes/", timeout=PATIENCE).json()["items"]]


def row_ids(database: Parameters, tenant: str) -> list[str]:
    with session(database) as connection:
        rows = connection.execute("SELECT job_id::text FROM composes WHERE org_id = %s", (tenant,)).fetchall()
    return [row[0] for row in rows]


def test_every_build_of_any_blueprint_version_is_submitted_with_the_blueprint_id(
    client: Client, composer: StandInComposer
) -> None:
    document = blueprint("web", image_request(), image_request("aws", "aws"))
    blueprint_id = kept(client, document)
    builds = composed(client, blueprint_id)
    changed(client, blueprint_id, document)
    builds += composed(client, blueprint_id, "aws")
    assert [told(composer, build)["blueprint_id"] for build in builds] == [blueprint_id] * 3


def test_a_build_without_a_blueprint_is_submitted_without_a_blueprint_id(
    client: Client, composer: StandInComposer
) -> None:
    assert "blueprint_id" not in told(composer, client.compose(compose_request()))


def test_the_blueprint_id_is_not_part_of_the_stored_request(
    client: Client, composer: StandInComposer, module_database: Parameters
) -> None:
    (build,) = composed(client, kept(client))
    assert "blueprint_id" not in stored_row(module_database, build)["request"]


def test_a_lost_build_of_a_blueprint_is_adopted(
    client: Client, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = kept(client)
    composer.steer(post_drop="after")
    refusal(client.post(f"/blueprints/{blueprint_id}/compose"), 503)
    composer.steer(post_drop=None)
    in_time(lambda: counts(module_database, tenant) == (1, 0))
    (build,) = row_ids(module_database, tenant)
    assert told(composer, build)["blueprint_id"] == blueprint_id


def test_an_equal_start_without_a_blueprint_does_not_adopt_the_build(
    client: Client, composer: StandInComposer, module_database: Parameters, tenant: str
) -> None:
    blueprint_id = kept(client)
    composer.steer(post_drop="before")
    refusal(client.post("/compose", compose_request()), 503)
    composer.steer(post_drop="after")
    refusal(client.post(f"/blueprints/{blueprint_id}/compose"), 503)
    composer.steer(post_drop=None)
    in_time(lambda: counts(module_database, tenant) == (1, 0))
    (build,) = row_ids(module_database, tenant)
    assert stored_row(module_database, build)["blueprint_version_id"] is not None


# Starts that older versions of this service recorded, of `order`: the fingerprints were computed by the code of then,
# with the secret above. HASHED_* are of before passwords were hashed after the reservation, SALTED_* of after.
HASHED_WITHOUT_ID = "be4d4cde7b3a84d7474cf6f9a0cd4418948129dee06e54afbb869060b57960bf35e532cb"
HASHED_WITH_ID = "be4d4cde41f1b89377a6971f8c3c3c1c8fe4f3cfdcfb38b2a458ba794c8115925fe4b89b"
SALTED_WITHOUT_ID = "be4d4cde13afb7a5192ffe6e20fdad5f2df13270556404249dc8d108ee0ba30b90c005f0"
SALTED_WITH_ID = "be4d4cde3208853bd75b1d00e05d18c79ee37a471e11447c32496d788a3147851a90d513"


def order(**fields: Any) -> dict[str, Any]:
    """A request to the composer as an older version sent it."""
    repository = {"baseurl": "https://example.com/baseos", "rhsm": False, "check_gpg": False}
    image = {"architecture": "x86_64", "image_type": "guest-image", "repositories": [repository]}
    user = {"name": "admin", "password": "$6$saltsaltsaltsalt$digest"}
    return {
        "distribution": "centos-9",
        "image_request": {**image, "upload_options": {"region": "us-east-1"}},
        "customizations": {"users": [user], "packages": ["vim"]},
        **fields,
    }


def insert_start(database: Parameters, tenant: str, fingerprint: str, version: UUID | None) -> None:
    """Insert a start as an older version recorded it, an hour ago."""
    compose = {
        "request": compose_request(),
        "account_number": "",
        "email": "",
        "image_name": None,
        "client_id": "api",
    }
    with session(database) as connection:
        connection.execute(
            "INSERT INTO compose_starts (id, org_id, created_at, fingerprint, compose, blueprint_version_id, position) "
            "VALUES (%s, %s, %s, %s, %s, %s, 1)",
            (
                uuid4(),
                tenant,
                now() - timedelta(hours=1),
                bytes.fromhex(fingerprint),
                Jsonb(compose, dumps=orjson.dumps),
                version,
            ),
        )


@pytest.mark.parametrize(
    ("fingerprint", "fields", "of_blueprint"),
    [
        (HASHED_WITHOUT_ID, {}, False),
        (SALTED_WITHOUT_ID, {}, False),
        (HASHED_WITHOUT_ID, {}, True),
        (SALTED_WITHOUT_ID, {}, True),
        (HASHED_WITHOUT_ID, {"blueprint_id": BLUEPRINT}, True),
        (SALTED_WITHOUT_ID, {"blueprint_id": BLUEPRINT}, True),
        (HASHED_WITH_ID, {"blueprint_id": BLUEPRINT}, True),
        (SALTED_WITH_ID, {"blueprint_id": BLUEPRINT}, True),
    ],
)
def test_a_build_that_an_older_version_started_is_adopted(
    client: Client,
    composer: StandInComposer,
    module_database: Parameters,
    tenant: str,
    fingerprint: str,
    fields: dict[str, str],
    of_blueprint: bool,
) -> None:
    version = insert_blueprint_version(module_database, tenant, 1)[1] if of_blueprint else None
    taken = requests.post(f"{composer.api_url}/compose", json=order(**fields), timeout=PATIENCE)
    assert taken.status_code == 201, taken.text
    insert_start(module_database, tenant, fingerprint, version)
    in_time(lambda: counts(module_database, tenant) == (1, 0))
    assert row_ids(module_database, tenant) == ids_at(composer) == [taken.json()["id"]]
    assert stored_row(module_database, taken.json()["id"])["blueprint_version_id"] == version
