"""The service with the environment of compose.yaml, with the hosts of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform import sample_data
from adapters.embedded.platform.process import StandInPlatform
from adapters.postgres.migrate import migrate
from tests.support.builders import compose_request
from tests.support.compose_file import compose_file
from tests.support.databases import Parameters
from tests.support.roles import APP, OWNER, apply_roles, database_with_roles, logged_in
from tests.support.service import Client, Service

# Where the tests have something of their own: the database, and the address to listen on.
_OF_THE_TESTS = {"PGHOST", "PGPORT", "PGDATABASE", "PGPASSWORD", "PGSSLMODE", "LISTEN_ADDRESS", "WORKERS"}


@pytest.fixture(scope="module")
def client(
    postgres: Parameters, composer_process: StandInComposer, platform_process: StandInPlatform
) -> Iterator[Client]:
    written = compose_file()["services"]["image-builder"]["environment"]
    hosts = {
        "http://composer:8080": composer_process.url,
        "http://platform:8080": platform_process.url,
        "redis://valkey:6379": "redis://127.0.0.1:9",  # nobody there: requests pass
    }
    environment = {name: value for name, value in written.items() if name not in _OF_THE_TESTS}
    for host, ours in hosts.items():
        environment = {name: value.replace(host, ours) for name, value in environment.items()}
    composer_process.reset()
    platform_process.reset()
    with database_with_roles(postgres) as superuser:
        migrate(logged_in(superuser, OWNER))
        apply_roles(superuser)
        workers = int(written["WORKERS"])
        with Service(
            logged_in(superuser, APP), composer_process.url, environment=environment, workers=workers
        ) as service:
            yield service.client(uuid4().hex)


def test_a_build_that_needs_the_platform_services_is_started(client: Client) -> None:
    client.compose(
        compose_request(
            "aws",
            "aws",
            distribution="rhel-9.6",
            image={"snapshot_date": "2025-03-01", "options": {"share_with_sources": ["1"]}},
            customizations={"openscap": {"policy_id": sample_data.POLICY_RHEL9}},
        )
    )


def test_packages_are_recommended(client: Client) -> None:
    body = {"packages": ["httpd"], "recommendedPackages": 3, "distribution": "rhel9"}
    answer = client.post("/experimental/recommendations", body)
    assert answer.status_code == 200, answer.text
