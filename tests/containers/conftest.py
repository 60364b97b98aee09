"""What the tests of the image may ask for. They are skipped where no engine answers, or no base is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import docker
import pytest
import requests
from docker.models.containers import Container

from adapters.postgres.migrate import migrate
from tests.support import containers, databases
from tests.support.builders import identity
from tests.support.containers import address, gateway, published, running, until
from tests.support.databases import LABEL, Parameters
from tests.support.roles import MAINTENANCE, OWNER, apply_roles, database_with_roles, logged_in
from tests.support.service import PROJECT, Client

# Building an image and filling a database may take long on a machine that does other things, too.
TIME = 1800


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith("tests/containers/"):
            item.add_marker(pytest.mark.timeout(TIME))


def variable(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        pytest.skip(f'{name} is not set: `eval "$(tools/container_engine.sh start DIR)"` sets it')
    return value


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The Docker engine."""
    client = containers.engine()
    if client is None:
        pytest.skip("no Docker engine answers")
    try:
        yield client
    finally:
        client.close()


@pytest.fixture(scope="session")
def image(engine: docker.DockerClient) -> Iterator[str]:
    """The name of the image of this source tree."""
    base = variable("TEST_BASE_IMAGE")
    name = f"{LABEL}/service:{uuid4().hex}"
    arguments = {
        "BASE": base,
        "BUILD_BASE": os.environ.get("TEST_BUILD_BASE_IMAGE", base),
        # The vendors' hosts are not within reach of tests.
        "FETCH_KEYS": "0",
        "BUILD_COMMIT": "0a1b2c3",
    }
    try:
        engine.images.build(path=str(PROJECT), tag=name, buildargs=arguments, labels={LABEL: ""}, rm=True, forcerm=True)
    except docker.errors.BuildError as error:
        pytest.fail("".join(str(line.get("stream", line)) for line in error.build_log)[-5000:])
    try:
        yield name
    finally:
        engine.images.remove(name, force=True)


@pytest.fixture(scope="session")
def postgres_in_container(engine: docker.DockerClient) -> Iterator[Parameters]:
    """Connection parameters of a superuser of a PostgreSQL that testcontainers runs."""
    with databases.in_container(variable("TEST_CONTAINER_POSTGRES_IMAGE")) as parameters:
        yield parameters


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where containers find what the service needs, as environment variables; `database` is for this machine."""

    environment: dict[str, str]
    database: Parameters


@pytest.fixture(scope="session")
def surroundings(engine: docker.DockerClient, image: str, postgres_in_container: Parameters) -> Iterator[Surroundings]:
    """A database that the image's own command has migrated, and a stand-in composer."""
    composer = ["python3", "-m", "adapters.embedded.composer", "--host=0.0.0.0", "--port=8080", "--state=:memory:"]
    with (
        databases.database(postgres_in_container) as database,
        running(engine, image, [*composer, "--seconds=1"]) as stand_in,
    ):
        environment = {
            "PGHOST": gateway(stand_in),
            "PGPORT": str(database["port"]),
            "PGDATABASE": str(database["dbname"]),
            "PGUSER": str(database["user"]),
            "PGPASSWORD": str(database["password"]),
            "COMPOSER_URL": f"http://{address(stand_in)}:8080",
            "OSBUILD_AWS_REGION": "us-east-1",
        }
        status, output = containers.ended(
            engine, image, ["/app/image-builder-migrate-db-tern"], environment=environment
        )
        assert status == 0, output
        yield Surroundings(environment, database)


@pytest.fixture(scope="module")
def least_privileged(surroundings: Surroundings, postgres_in_container: Parameters) -> Iterator[Surroundings]:
    """Only what the maintenance's cron job is told, and its own role in a database beside the other."""
    with database_with_roles(postgres_in_container) as database:
        migrate(logged_in(database, OWNER))
        apply_roles(database)
        its_own = logged_in(database, MAINTENANCE)
        environment = {
            "PGHOST": surroundings.environment["PGHOST"],
            "PGPORT": str(its_own["port"]),
            "PGDATABASE": str(its_own["dbname"]),
            "PGUSER": str(its_own["user"]),
            "PGPASSWORD": str(its_own["password"]),
            "ENABLE_DB_MAINTENANCE": "true",
            "DRY_RUN": "false",
            "DB_COMPOSES_RETENTION_MONTHS": "24",
        }
        yield Surroundings(environment, database)


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the config map is mounted: five builds a fortnight for everybody."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "quotas.json").write_text('{"default": {"quota": 5, "slidingWindow": 1209600000000000}}')
    (folder / "allow_list.json").write_text("{}")
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    return folder


@pytest.fixture(scope="module", params=["1001:0", "1234567:0"], ids=["as the image says", "as a cluster may choose"])
def service(
    engine: docker.DockerClient, image: str, surroundings: Surroundings, config: Path, request: pytest.FixtureRequest
) -> Iterator[Container]:
    """The service as the template runs it, once it answers; as the image's own user, and as one nobody knows."""
    environment = {
        **surroundings.environment,
        "QUOTA_FILE": "/app/config/quotas.json",
        "ALLOW_FILE": "/app/config/allow_list.json",
    }
    with running(
        engine,
        image,
        ["/app/image-builder"],
        user=request.param,
        environment=environment,
        ports={"8000/tcp": ("127.0.0.1", None)},
        volumes={str(config): {"bind": "/app/config", "mode": "ro"}},
    ) as container:
        until(lambda: _answers(container), "it answers")
        yield container


@pytest.fixture
def url(service: Container) -> str:
    """Where this machine finds the service."""
    return f"http://127.0.0.1:{published(service, 8000)}"


@pytest.fixture
def client(url: str) -> Client:
    """A client that is a user of the test's own organization."""
    return Client(url, {"x-rh-identity": identity(uuid4().hex)})


def _answers(container: Container) -> bool:
    container.reload()
    assert container.status in ("created", "running"), container.logs().decode()
    try:
        return requests.get(f"http://127.0.0.1:{published(container, 8000)}/status", timeout=2).ok
    except (requests.RequestException, KeyError, IndexError, TypeError):
        return False
