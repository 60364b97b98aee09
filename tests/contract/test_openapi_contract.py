"""The running service against its own document: what schemathesis makes of it, and what it cannot know."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import blueprint, kept
from tests.support.builders import compose_request, identity
from tests.support.operations import operation_ids
from tests.support.refusals import REQUEST_ID
from tests.support.rounds import sampled
from tests.support.service import BASE, PROJECT, Service
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("composer")

HERE = Path(__file__).parent
RECOMMENDATIONS = "/experimental/recommendations"
UPLOADS = [
    ("aws", "aws"),
    ("gcp", "gcp"),
    ("azure", "azure"),
    ("oci", "oci.objectstorage"),
    ("guest-image", "aws.s3"),
    ("edge-commit", "aws.s3"),
]


# Walked by schemathesis


def walked(
    service: Service, folder: Path, phases: str, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What schemathesis found; its own files go into the folder."""
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "run"]
    command += [f"{service.url}/openapi.json", "--url", service.url + BASE, "--phases", phases, "--no-color", *options]
    return subprocess.run(
        command,
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(PROJECT),
            "PYTHONIOENCODING": "utf-8",
            "COLUMNS": "200",
            "CONTRACT_IDENTITY": identity(f"contract {phases}"),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * PATIENCE,
    )


def numbers(pattern: str, run: subprocess.CompletedProcess[str]) -> list[int]:
    """The numbers of a line of the report."""
    found = re.search(pattern, run.stdout)
    assert found, run.stdout + run.stderr
    return [int(number) for number in found.groups()]


def test_every_operation_keeps_the_contract(service: Service, tmp_path: Path) -> None:
    hooks = "tests.contract.schemathesis_limits"
    run = walked(service, tmp_path, "examples,fuzzing", SCHEMATHESIS_HOOKS=hooks)
    selected, total = numbers(r"Selected: (\d+)/(\d+)", run)
    (tested,) = numbers(r"Tested: (\d+)", run)
    assert selected == total == tested
    assert run.returncode == 0, run.stdout + run.stderr


def test_values_at_the_limits_of_operations_keep_the_contract(service: Service, tmp_path: Path) -> None:
    some = sampled(sorted(operation_ids()), 4)
    chosen = [option for operation in some for option in ("--include-operation-id", operation)]
    hooks = "tests.contract.schemathesis_limits"
    run = walked(service, tmp_path, "coverage", *chosen, SCHEMATHESIS_HOOKS=hooks)
    assert numbers(r"Tested: (\d+)", run) == [len(some)]
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="module")
def linked(service: Service, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """What following the links of the document came to."""
    hooks = "tests.contract.schemathesis_hooks"
    # Lists lead somewhere from the first.
    client = service.client("contract stateful")
    client.compose(compose_request())
    kept(client)
    return walked(service, tmp_path_factory.mktemp("links"), "stateful", SCHEMATHESIS_HOOKS=hooks)


def test_links_between_create_read_and_delete_are_taken(linked: subprocess.CompletedProcess[str]) -> None:
    covered, total = numbers(r"API Links:\s+(\d+) covered / \d+ selected / (\d+) total", linked)
    assert total >= 10
    assert covered > total / 2


def test_what_the_links_lead_to_keeps_the_contract(linked: subprocess.CompletedProcess[str]) -> None:
    assert linked.returncode == 0, linked.stdout + linked.stderr


def links(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Method, path and status of every answer that leads on, and the link."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            for status, response in operation["responses"].items():
                for link in response.get("links", {}).values():
                    yield method.upper(), path, status, link


def test_every_link_leads_to_an_answer(service: Service, contract: Any, document: Mapping[str, Any]) -> None:
    client = service.client("links")
    bodies = {"/compose": compose_request, "/blueprints": lambda: blueprint(uuid4().hex)}
    places = {
        operation["operationId"]: (method.upper(), path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }
    taken = 0
    for method, path, status, link in links(document):
        for place, body in bodies.items():
            assert client.post(place, body()).status_code == 201  # something that lists lead to
        answer = client.request(method, path, **({"json": bodies[path]()} if method == "POST" else {}))
        assert answer.status_code == int(status), answer.text
        ((name, expression),) = link["parameters"].items()
        value: Any = answer.json()
        for step in expression.removeprefix("$response.body#/").split("/"):
            value = value[int(step) if step.isdigit() else step]
        next_method, template = places[link["operationId"]]
        led = _answered(client, next_method, template.replace(f"{{{name}}}", value))
        assert led.ok, f"{link['operationId']}: {led.text}"
        contract[template][next_method].validate_response(led)
        taken += 1
    assert taken >= 10


def _answered(client: Any, method: str, path: str) -> requests.Response:
    """The answer, when there is something to answer: what is in an image is known when it is built."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer: requests.Response = client.request(method, path)
        if answer.status_code != 404 or time.monotonic() > deadline:
            return answer
        time.sleep(0.2)


# Every success answer fits its schema


def assert_fits(contract: Any, path: str, method: str, answer: requests.Response, status: int = 200) -> None:
    """The answer has this status, and its body, media type and headers are those documented for it."""
    assert answer.status_code == status, answer.text
    assert answer.headers[REQUEST_ID]
    contract[path][method].validate_response(answer)


@pytest.mark.parametrize(
    "path", ["/version", "/ready", "/openapi.json", "/distributions", "/features", "/quota", "/composes"]
)
def test_reading_answers_fit_their_schemas(service: Service, contract: Any, path: str) -> None:
    assert_fits(contract, path, "GET", service.client("fits").get(path))


def test_the_list_of_bootc_images_fits_its_schema(service: Service, contract: Any) -> None:
    answer = service.client("fits").get("/distributions?kind=bootc")
    assert answer.json()
    assert_fits(contract, "/distributions", "GET", answer)


def test_the_architectures_of_every_distribution_fit_their_schema(service: Service, contract: Any) -> None:
    client = service.client("fits")
    names = [each["name"] for each in client.get("/distributions").json()]
    assert len(names) > 10
    for name in names:
        assert_fits(contract, "/architectures/{distribution}", "GET", client.get(f"/architectures/{name}"))


def test_the_description_of_every_distribution_fits_its_schema(service: Service, contract: Any) -> None:
    client = service.client("fits")
    names = {each["name"] for each in client.get("/distributions").json()} - {"hummingbird"}
    assert len(names) > 10
    for name in names:
        assert_fits(contract, "/distributions/{distro}", "GET", client.get(f"/distributions/{name}"))


def test_the_packages_that_a_search_finds_fit_their_schema(service: Service, contract: Any) -> None:
    answer = service.client("fits").get("/packages?distribution=centos-9&architecture=x86_64&search=ssh")
    assert answer.json()["data"]
    assert_fits(contract, "/packages", "GET", answer)


@pytest.mark.parametrize("packages", [["nginx"], []])
def test_recommended_packages_fit_their_schema(service: Service, contract: Any, packages: list[str]) -> None:
    answer = service.client("fits").post(RECOMMENDATIONS, {"packages": packages, "distribution": "rhel9"})
    assert_fits(contract, RECOMMENDATIONS, "POST", answer)


def test_builds_fit_their_schemas_from_start_to_end(service: Service, contract: Any) -> None:
    # At the same time, because most of it is waiting.
    with ThreadPoolExecutor(len(UPLOADS)) as threads:
        list(threads.map(lambda each: follow_to_the_end(service, contract, *each), UPLOADS))


def follow_to_the_end(service: Service, contract: Any, image_type: str, upload: str) -> None:
    client = service.client(f"whole {image_type}")
    started = client.post("/compose", compose_request(image_type, upload, image_name="whole"))
    assert_fits(contract, "/compose", "POST", started, 201)
    compose_id = started.json()["id"]
    assert_fits(contract, "/composes", "GET", client.get("/composes"))
    seen: dict[str, requests.Response] = {}
    deadline = time.monotonic() + PATIENCE
    while "success" not in seen:
        assert time.monotonic() < deadline, seen.keys()
        answer = client.get(f"/composes/{compose_id}")
        assert_fits(contract, "/composes/{composeId}", "GET", answer)
        seen[answer.json()["image_status"]["status"]] = answer
        time.sleep(0.1)
    assert seen["success"].json()["image_status"]["upload_status"]["type"] == upload
    assert_fits(contract, "/composes/{composeId}/metadata", "GET", client.get(f"/composes/{compose_id}/metadata"))
    deleted = client.delete(f"/composes/{compose_id}")
    assert_fits(contract, "/composes/{composeId}", "DELETE", deleted)
    assert deleted.content == b""


@pytest.mark.parametrize("details", [None, [], "text", {"reason": "inner"}, [{"id": 1, "reason": "inner"}]], ids=repr)
def test_a_failed_build_fits_its_schema(
    service: Service, contract: Any, composer: StandInComposer, details: Any
) -> None:
    client = service.client("failed")
    compose_id = client.compose(compose_request())
    error = {"id": 5, "reason": "no", **({} if details is None else {"details": details})}
    composer.steer(image_status={"status": "failure", "error": error})
    answer = client.get(f"/composes/{compose_id}")
    assert_fits(contract, "/composes/{composeId}", "GET", answer)
    assert answer.json()["image_status"]["error"]["reason"]
