"""The image as a cluster runs it: a read-only file system, some user that is not root, 256 MiB, no capabilities."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import docker
import pytest
import requests
from docker.models.containers import Container

from tests.containers.conftest import Surroundings
from tests.support.builders import compose_request
from tests.support.containers import MEMORY, ended, running, until
from tests.support.databases import session
from tests.support.rows import insert_compose
from tests.support.service import Client
from tests.support.waiting import PATIENCE


def test_a_build_goes_from_request_to_success(client: Client) -> None:
    compose = client.compose(compose_request())
    until(lambda: client.get(f"/composes/{compose}").json()["image_status"]["status"] == "success", "it is built")


def test_the_history_is_in_the_database_of_the_other_container(client: Client, surroundings: Surroundings) -> None:
    compose = client.compose(compose_request())
    with session(surroundings.database) as connection:
        assert connection.execute("SELECT 1 FROM composes WHERE job_id = %s", (compose,)).fetchone() == (1,)


def test_it_is_ready(url: str) -> None:
    answer = requests.get(f"{url}/ready", timeout=PATIENCE)
    assert (answer.status_code, answer.json()) == (200, {"readiness": "ready"})


def test_the_engine_finds_it_healthy(service: Container) -> None:
    def health() -> str:
        service.reload()
        return str(service.attrs["State"]["Health"]["Status"])

    until(lambda: health() != "starting", "its health is known")
    assert health() == "healthy", service.attrs["State"]["Health"]


def test_quotas_come_from_the_mounted_file(client: Client) -> None:
    assert client.get("/quota").json()["limit"] == 5


def test_the_version_tells_the_commit_it_was_built_from(client: Client) -> None:
    assert client.get("/version").json()["build_commit"] == "0a1b2c3"


def test_the_limits_are_in_force(service: Container) -> None:
    said = service.exec_run(["python3", "-c", LIMITS]).output.decode().split()
    assert said == ["CapEff:0000000000000000", "NoNewPrivs:1", "read-only"]
    service.reload()
    assert service.attrs["HostConfig"]["Memory"] == MEMORY
    assert not service.attrs["State"]["OOMKilled"]


LIMITS = """
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
for name in ("CapEff", "NoNewPrivs"):
    print(name + ":" + status[name].strip())
try:
    open("/app/new", "w")
except OSError as error:
    print("read-only" if error.errno == 30 else error)
"""


def test_sigterm_ends_it_in_order(engine: docker.DockerClient, image: str, surroundings: Surroundings) -> None:
    with running(
        engine,
        image,
        ["/app/image-builder"],
        environment=surroundings.environment,
        ports={"8000/tcp": ("127.0.0.1", None)},
    ) as container:
        until(lambda: b'"event":"serving"' in container.logs(), "it serves")
        container.kill("SIGTERM")
        assert container.wait(timeout=PATIENCE)["StatusCode"] == 0


def test_several_worker_processes_fit_as_well(
    engine: docker.DockerClient, image: str, surroundings: Surroundings
) -> None:
    with running(
        engine,
        image,
        ["/app/image-builder"],
        environment={**surroundings.environment, "WORKERS": "2"},
    ) as container:
        health = ["/app/image-builder-health"]
        until(lambda: container.exec_run(health).exit_code == 0, "it answers")
        container.kill("SIGTERM")
        assert container.wait(timeout=PATIENCE)["StatusCode"] == 0


def test_the_health_probe_fails_where_nothing_answers(engine: docker.DockerClient, image: str) -> None:
    status, output = ended(engine, image, ["/app/image-builder-health"])
    assert (status, output.startswith("no answer")) == (1, True)


def test_without_a_command_it_serves(engine: docker.DockerClient, image: str) -> None:
    status, output = ended(engine, image, [])
    assert status == 1
    assert "COMPOSER_URL" in output


@pytest.mark.parametrize("user", ["1001:0", "1234567:0"])
def test_migrating_once_more_does_nothing(
    engine: docker.DockerClient, image: str, surroundings: Surroundings, user: str
) -> None:
    command = ["/app/image-builder-migrate-db-tern"]
    status, output = ended(engine, image, command, user=user, environment=surroundings.environment)
    assert (status, "up to date" in output) == (0, True), output


@pytest.mark.parametrize("user", ["1001:0", "1234567:0"])
def test_maintenance_runs_as_the_cron_job_calls_it(
    engine: docker.DockerClient, image: str, least_privileged: Surroundings, user: str
) -> None:
    old = insert_compose(least_privileged.database, uuid4().hex, ago=timedelta(days=3 * 366))
    command = ["/app/image-builder-maintenance"]
    status, output = ended(engine, image, command, user=user, environment=least_privileged.environment)
    assert status == 0, output
    last = json.loads(output.splitlines()[-1])
    assert (last["event"], last["complete"], last["composes_expired"]) == ("maintenance ended", True, 1)
    with session(least_privileged.database) as connection:
        assert connection.execute("SELECT 1 FROM composes WHERE job_id = %s", (old,)).fetchone() is None
