"""Clients that generators make from the served document compile, queue a build, and list builds of any age."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support import stand_in, toolchains
from tests.support.builders import compose_request, identity
from tests.support.databases import Parameters
from tests.support.old_rows import BUILDS, REQUESTS
from tests.support.rows import insert_compose
from tests.support.service import BASE, Service

pytestmark = pytest.mark.timeout(2 * toolchains.PATIENCE)
PROGRAMS = Path(__file__).parent
DEVELOPMENT = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organization with builds of any age: `distributions` has what each of them, by id, was built of."""

    url: str
    identity: str
    distributions: Mapping[str, str | None]


@pytest.fixture
def tenant(service: Service, module_database: Parameters, composer: StandInComposer) -> Tenant:
    name = f"generated {uuid4()}"
    distributions: dict[str, str | None] = {}
    for kind in [*REQUESTS, *BUILDS]:
        request = REQUESTS.get(kind, compose_request())
        job = stand_in.Client(composer).queued()
        insert_compose(module_database, name, request, job_id=job, **BUILDS.get(kind, {}))
        distributions[job] = request.get("distribution")
    return Tenant(service.url + BASE, identity(name), distributions)


@pytest.fixture
def folder(service: Service, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the folder that the test names, with the served document in it."""
    copy = tmp_path / "client"
    shutil.copytree(PROGRAMS / request.param, copy, ignore=shutil.ignore_patterns("node_modules"))
    (copy / "openapi.json").write_text(service.client().get("/openapi.json").text, encoding="utf-8")
    return copy


def assert_queues_and_lists(tenant: Tenant, output: str) -> None:
    answer: dict[str, Any] = json.loads(output)
    queued = answer["queued"]
    assert answer == {
        "queued": queued,
        "image_type": "guest-image",
        "size": 1 << 32,
        "distributions": {**tenant.distributions, queued: "centos-9"},
    }


@pytest.mark.parametrize("folder", ["python"], indirect=True)
def test_openapi_python_client(folder: Path, tenant: Tenant) -> None:
    package = folder / "image_builder_client"
    toolchains.run(
        *("openapi-python-client", "generate", "--path", "openapi.json", "--config", "openapi-python-client.yaml"),
        *("--meta", "none", "--output-path", package, "--fail-on-warning"),
        folder=folder,
        path=DEVELOPMENT,
    )
    toolchains.run("mypy", "--config-file", "mypy.ini", package, "program.py", folder=folder, path=DEVELOPMENT)
    output = toolchains.run(sys.executable, "program.py", tenant.url, tenant.identity, folder=folder)
    assert_queues_and_lists(tenant, output)


@pytest.mark.parametrize("folder", ["typescript"], indirect=True)
def test_openapi_typescript_and_openapi_fetch(folder: Path, tenant: Tenant) -> None:
    programs = toolchains.install_npm_packages(folder)
    toolchains.run("openapi-typescript", "openapi.json", "--output", "schema.d.ts", folder=folder, path=programs)
    toolchains.run("tsc", folder=folder, path=programs)
    output = toolchains.run("node", "built/client.js", tenant.url, tenant.identity, folder=folder)
    assert_queues_and_lists(tenant, output)


@pytest.mark.parametrize("folder", ["go"], indirect=True)
def test_oapi_codegen(folder: Path, tenant: Tenant) -> None:
    toolchains.require("go")
    toolchains.run("go", "tool", "oapi-codegen", "-config", "oapi-codegen.yaml", "openapi.json", folder=folder)
    toolchains.run("go", "vet", "./...", folder=folder)
    output = toolchains.run("go", "run", "./cmd", tenant.url, tenant.identity, folder=folder)
    assert_queues_and_lists(tenant, output)
