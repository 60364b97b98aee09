"""The running service against its own document: what schemathesis makes of it, and what it cannot know."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import requests
import schemathesis

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform.process import StandInPlatform
from tests.support.blueprints import blueprint, kept
from tests.support.builders import compose_request, identity
from tests.support.databases import Parameters
from tests.support.platform import service_with
from tests.support.refusals import REQUEST_ID, refusal
from tests.support.service import BASE, PROJECT, Service

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


def walked(service: Service, folder: Path, phases: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What schemathesis found; its own files go into the folder."""
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "run"]
    command += [f"{service.url}/openapi.json", "--url", service.url + BASE, "--phases", phases, "--no-color"]
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
        timeout=300,
    )


def numbers(pattern: str, run: subprocess.CompletedProcess[str]) -> list[int]:
    """The numbers of a line of the report."""
    found = re.search(pattern, run.stdout)
    assert found, run.stdout + run.stderr
    return [int(number) for number in found.groups()]


@pytest.mark.timeout(320)
def test_every_operation_keeps_the_contract(service: Service, tmp_path: Path) -> None:
    hooks = "tests.contract.schemathesis_limits"
    run = walked(service, tmp_path, "examples,coverage,fuzzing", SCHEMATHESIS_HOOKS=hooks)
    selected, total = numbers(r"Selected: (\d+)/(\d+)", run)
    (tested,) = numbers(r"Tested: (\d+)", run)
    assert selected == total == tested
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
    deadline = time.monotonic() + 15
    while True:
        answer: requests.Response = client.request(method, path)
        if answer.status_code != 404 or time.monotonic() > deadline:
            return answer
        time.sleep(0.2)


# Every success answer fits its schema


@pytest.fixture(scope="module")
def contract(service: Service) -> Any:
    """The served document, able to judge answers."""
    return schemathesis.openapi.from_url(f"{service.url}/openapi.json")


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    served: dict[str, Any] = requests.get(f"{service.url}{BASE}/openapi.json", timeout=10).json()
    return served


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


@pytest.mark.parametrize(("image_type", "upload"), UPLOADS)
def test_a_build_fits_its_schemas_from_start_to_end(
    service: Service, contract: Any, image_type: str, upload: str
) -> None:
    client = service.client(f"whole {image_type}")
    started = client.post("/compose", compose_request(image_type, upload, image_name="whole"))
    assert_fits(contract, "/compose", "POST", started, 201)
    compose_id = started.json()["id"]
    assert_fits(contract, "/composes", "GET", client.get("/composes"))
    seen: dict[str, requests.Response] = {}
    deadline = time.monotonic() + 15
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


# Examples


@pytest.fixture(scope="module")
def platform_process() -> Iterator[StandInPlatform]:
    with StandInPlatform() as running:
        yield running


@pytest.fixture(scope="module")
def complete(
    module_database: Parameters, composer_process: StandInComposer, platform_process: StandInPlatform
) -> Iterator[Service]:
    """The service with all back-ends, as the embedded default has them."""
    recommendations = {"RECOMMENDATIONS_URL": platform_process.recommendations_url}
    with service_with(module_database, composer_process.url, platform_process, **recommendations) as running:
        yield running


def example_bodies(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Media type and value of every example of an operation's body, that of its schema included."""
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        schema = document["components"]["schemas"][name] if name else content["schema"]
        yield from ((media_type, each["value"]) for each in content.get("examples", {}).values())
        yield from ((media_type, each["example"]) for each in (content, schema) if "example" in each)


def test_every_example_of_a_body_is_taken(complete: Service, document: Mapping[str, Any]) -> None:
    """Each by an organization of its own, and where a blueprint is asked for, for one that was just made."""
    taken = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            for media_type, value in example_bodies(document, operation):
                client = complete.client(uuid4().hex)
                place = path.replace("{id}", kept(client)) if "{id}" in path else path
                body = value.encode() if isinstance(value, str) else orjson.dumps(value)
                answer = client.request(method.upper(), place, data=body, headers={"Content-Type": media_type})
                assert answer.ok, f"{method} {path}: {value}\n{answer.text}"
                taken += 1
    assert taken >= 15


def test_every_reading_operation_answers_with_the_examples_of_its_parameters(
    complete: Service, document: Mapping[str, Any]
) -> None:
    """What the interactive page fills in; ids apart, which are nobody's."""
    client = complete.client("examples of parameters")
    for path, item in document["paths"].items():
        if "get" not in item or re.search(r"\{(\w*[Ii]d|policy)\}", path):
            continue
        place, query = path, {}
        for given in (*item.get("parameters", []), *item["get"].get("parameters", [])):
            named = given.get("$ref", "").rpartition("/")[2]
            parameter = document["components"]["parameters"][named] if named else given
            if parameter.get("in") == "path":
                place = place.replace(f"{{{parameter['name']}}}", parameter["example"])
            elif parameter.get("in") == "query" and "example" in parameter:
                query[parameter["name"]] = parameter["example"]
        answer = client.get(place, params=query)
        assert answer.ok, f"{path} {query}: {answer.text}"


def test_every_example_of_a_refusal_has_its_status_for_a_title(document: Mapping[str, Any]) -> None:
    wrong = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            for status, response in operation["responses"].items():
                for detail, title in _refusals(document, response):
                    # A rule has a title of its own.
                    if status not in {title, "422"}:
                        wrong.append(f"{method} {path} {status}: {title!r} ({detail})")
    assert not wrong, "\n".join(wrong)


def _refusals(document: Mapping[str, Any], response: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    media = response.get("content", {}).get("application/json", {})
    values = [media["example"]] if "example" in media else []
    values += [example["value"] for example in media.get("examples", {}).values()]
    for value in values:
        if isinstance(value, dict):
            yield from ((error["detail"], error["title"]) for error in value.get("errors", ()))


# Tenants


def operations_on_an_id(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Method and path of every operation that has an id in its path; later issues add theirs."""
    return [
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if re.search(r"\{\w*[Ii]d\}", path) and method != "parameters"
    ]


def test_an_id_of_another_tenant_answers_exactly_like_one_that_does_not_exist(
    service: Service, document: Mapping[str, Any]
) -> None:
    owner, other = service.client("owner"), service.client("other")
    compose_id, nobodys = owner.compose(compose_request()), str(uuid4())
    blueprint_id = kept(owner)
    operations = operations_on_an_id(document)
    assert len(operations) >= 10
    for method, path in operations:
        theirs = _ask(other, method, path.replace("{composeId}", compose_id).replace("{id}", blueprint_id))
        unknown = _ask(other, method, path.replace("{composeId}", nobodys).replace("{id}", nobodys))
        refusal(theirs, 404)
        assert theirs.content == unknown.content
        assert _without_what_differs(theirs) == _without_what_differs(unknown)
    assert owner.get(f"/composes/{compose_id}").status_code == 200
    assert owner.get(f"/blueprints/{blueprint_id}").status_code == 200
    assert owner.get("/composes").json()["meta"]["count"] == 1
    assert other.get("/composes").json() == {
        "meta": {"count": 0},
        "links": other.get("/composes").json()["links"],
        "data": [],
    }


def test_a_deleted_id_answers_others_and_its_owner_like_one_that_does_not_exist(service: Service) -> None:
    owner, other = service.client("deleting owner"), service.client("other")
    compose_id = owner.compose(compose_request())
    assert owner.delete(f"/composes/{compose_id}").status_code == 200
    unknown = other.get(f"/composes/{uuid4()}")
    for client in (owner, other):
        for path in (f"/composes/{compose_id}", f"/composes/{compose_id}/metadata"):
            refusal(client.get(path), 404)
        assert client.get(f"/composes/{compose_id}").content == unknown.content
    assert owner.delete(f"/composes/{compose_id}").status_code == 200
    refusal(other.delete(f"/composes/{compose_id}"), 404)


@pytest.mark.parametrize("path", ["", "/metadata"])
def test_the_composer_is_not_asked_about_another_tenants_build(
    service: Service, composer: StandInComposer, path: str
) -> None:
    compose_id = service.client("owner").compose(compose_request())
    before = composer.counters()
    refusal(service.client("other").get(f"/composes/{compose_id}{path}"), 404)
    assert composer.counters() == before


def _ask(client: Any, method: str, path: str) -> requests.Response:
    body = blueprint("other") if method == "PUT" else {}
    answer: requests.Response = client.request(method, path, **({} if method in {"GET", "DELETE"} else {"json": body}))
    return answer


def _without_what_differs(answer: requests.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.lower() not in {"date", REQUEST_ID}}
