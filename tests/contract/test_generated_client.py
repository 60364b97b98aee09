"""A client generated from the served document works against the running service."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support import stand_in
from tests.support.blueprints import insert_blueprint
from tests.support.builders import compose_request, identity
from tests.support.databases import Parameters
from tests.support.old_rows import BODIES, BUILDS, REQUESTS
from tests.support.rows import insert_compose
from tests.support.service import BASE, Service
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("composer")

PACKAGE = "generated_image_builder_client"
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def generated(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The generated package's modules, and a client of it that is a user."""
    folder = tmp_path_factory.mktemp("client")
    config = folder / "config.yaml"
    # It has no TOML of its own.
    config.write_text("content_type_overrides:\n  application/toml: application/octet-stream\n")
    run = subprocess.run(
        [
            *(BIN / "openapi-python-client", "generate", "--url", f"{service.url}{BASE}/openapi.json"),
            *("--meta", "none", "--output-path", folder / PACKAGE, "--fail-on-warning", "--config", config),
        ],
        # It formats what it writes with ruff.
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))

        def module(name: str) -> Any:
            return importlib.import_module(f"{PACKAGE}.{name}")

        def client_of(organization: str) -> Any:
            return module("client").AuthenticatedClient(
                base_url=service.url + BASE,
                token=identity(organization),
                prefix="",
                auth_header_name="x-rh-identity",
                raise_on_unexpected_status=True,
                timeout=PATIENCE,
            )

        with client_of("generated") as client:
            yield SimpleNamespace(module=module, models=module("models"), client=client, client_of=client_of)
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_a_generated_client_queues_a_build_and_reads_it_back(generated: SimpleNamespace) -> None:
    compose, client, models = "api.compose", generated.client, generated.models
    request = models.ComposeRequest.from_dict(
        compose_request(image_name="generated", customizations={"users": [{"name": "u", "password": "p"}]})
    )
    started = generated.module(f"{compose}.compose_image").sync(client=client, body=request)
    assert isinstance(started, models.ComposeResponse)

    status = _watch(generated, started.id)
    assert status.image_status.upload_status.type_ == "aws.s3"
    assert status.image_status.upload_status.options.url.startswith("http")
    assert status.request.image_name == "generated"
    assert [user.to_dict() for user in status.request.customizations.users] == [{"name": "u", "hasPassword": True}]

    page = generated.module(f"{compose}.get_composes").sync(client=client, limit=1)
    assert isinstance(page, models.ComposesResponse)
    assert page.meta.count == 1
    assert [item.id for item in page.data] == [started.id]

    metadata = generated.module(f"{compose}.get_compose_metadata").sync(client=client, compose_id=started.id)
    assert isinstance(metadata, models.ComposeMetadata)
    assert metadata.packages

    deleted = generated.module(f"{compose}.delete_compose").sync_detailed(client=client, compose_id=started.id)
    assert deleted.status_code == 200
    gone = generated.module(f"{compose}.get_compose_status").sync(client=client, compose_id=started.id)
    assert isinstance(gone, models.HTTPErrorList)
    assert gone.errors[0].title == "404"
    assert generated.module(f"{compose}.get_composes").sync(client=client).data == []


def test_a_generated_client_is_told_what_is_wrong(generated: SimpleNamespace) -> None:
    request = generated.models.ComposeRequest.from_dict(compose_request("aws", "aws.s3"))
    refused = generated.module("api.compose.compose_image").sync(client=generated.client, body=request)
    assert isinstance(refused, generated.models.HTTPErrorList)
    assert refused.errors[0].title == "400"
    assert refused.errors[0].detail


def test_a_generated_client_reads_what_can_be_built(generated: SimpleNamespace) -> None:
    distribution, models = "api.distribution", generated.models
    distributions = generated.module(f"{distribution}.get_distributions").sync(client=generated.client)
    assert "centos-9" in [each.name for each in distributions]
    architectures = generated.module(f"{distribution}.get_architectures").sync(
        client=generated.client, distribution=models.Distributions("centos-9")
    )
    assert [each.arch for each in architectures] == ["x86_64", "aarch64"]
    ready = generated.module("api.meta.get_readiness").sync(client=generated.client)
    assert ready.readiness == "ready"
    assert generated.module("api.meta.get_version").sync(client=generated.client).version
    document = generated.module("api.meta.get_openapi_json").sync(client=generated.client)
    assert document.to_dict()["openapi"].startswith("3.")


def test_a_generated_client_reads_builds_of_any_age(
    generated: SimpleNamespace, module_database: Parameters, composer: StandInComposer
) -> None:
    models = generated.models
    jobs = {name: stand_in.Client(composer).queued() for name in [*REQUESTS, *BUILDS]}
    for name, job in jobs.items():
        request, columns = REQUESTS.get(name, compose_request()), BUILDS.get(name, {})
        insert_compose(module_database, "builds of old", request, job_id=job, **columns)
    with generated.client_of("builds of old") as client:
        page = generated.module("api.compose.get_composes").sync(client=client)
        read = {str(item.id): item.request for item in page.data}
        assert read.keys() == set(jobs.values())
        assert {type(request) for request in read.values()} == {models.StoredComposeRequest}
        (image,) = read[jobs["an image type of long ago"]].image_requests
        assert (image.image_type, image.upload_request.type_) == ("no-longer-known", "nowhere")
        assert read[jobs["keys of long ago"]].client_id == "of-long-ago"
        assert read[jobs["empty"]].image_requests == []
        (image,) = read[jobs["as today"]].image_requests
        assert image.image_type is models.ImageTypes.GUEST_IMAGE
        for job in jobs.values():
            status = generated.module("api.compose.get_compose_status").sync(client=client, compose_id=job)
            assert isinstance(status, models.ComposeStatus)


def test_a_generated_client_reads_blueprints_of_any_age(
    generated: SimpleNamespace, module_database: Parameters
) -> None:
    models, operations = generated.models, "api.blueprint"
    with generated.client_of("blueprints of old") as client:
        for name, stored in BODIES.items():
            key = insert_blueprint(module_database, "blueprints of old", name, stored)
            found = generated.module(f"{operations}.get_blueprint").sync(client=client, id=key)
            assert isinstance(found, models.BlueprintResponse), name
            export = generated.module(f"{operations}.export_blueprint").sync(client=client, id=key)
            assert isinstance(export, models.BlueprintExportResponse), name


def test_a_generated_client_reads_words_of_a_newer_composer(
    generated: SimpleNamespace, composer: StandInComposer
) -> None:
    request = generated.models.ComposeRequest.from_dict(compose_request())
    with generated.client_of("newer composer") as client:
        started = generated.module("api.compose.compose_image").sync(client=client, body=request)
        upload = {"status": "queued", "type": "ftp", "options": {"path": "/x"}}
        composer.steer(image_status={"status": "resting", "upload_status": upload})
        status = generated.module("api.compose.get_compose_status").sync(client=client, compose_id=started.id)
    assert status.image_status.status == "resting"
    assert status.image_status.upload_status.options.to_dict() == {"path": "/x"}


def _watch(generated: SimpleNamespace, compose_id: Any) -> Any:
    """The status of the build once it is built."""
    deadline = time.monotonic() + PATIENCE
    while True:
        status = generated.module("api.compose.get_compose_status").sync(client=generated.client, compose_id=compose_id)
        assert isinstance(status, generated.models.ComposeStatus)
        if status.image_status.status == "success":
            return status
        assert time.monotonic() < deadline
        time.sleep(0.1)
