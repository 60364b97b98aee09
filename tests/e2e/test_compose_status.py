"""The status, metadata and deletion of a compose, and answers while composer or database are unavailable."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request, identity
from tests.support.composes import listed, status_of, wait_for_end
from tests.support.databases import Parameters, away
from tests.support.refusals import refusal
from tests.support.rows import counts, insert_compose
from tests.support.service import Client, Service
from tests.support.waiting import PATIENCE, until

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def without_composer(module_database: Parameters) -> Iterator[Service]:
    """A service with an unreachable composer."""
    with Service(module_database, NOWHERE) as running:
        yield running


def unavailable(answer: requests.Response, *hosts: str) -> None:
    """The answer must be a 503 with Retry-After that names no host."""
    refusal(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    for host in (*hosts, "127.0.0.1", "localhost", "http"):
        assert host not in answer.text


# The status


def test_a_build_goes_from_pending_to_success(service: Service, composer: StandInComposer) -> None:
    client = service.client("watching")
    composer.steer(image_status={"status": "pending"})  # which it is too briefly by itself
    compose_id = client.compose(compose_request(image_name="mine"))
    assert status_of(client, compose_id)["image_status"]["status"] == "pending"
    composer.steer(image_status=None)
    until(lambda: status_of(client, compose_id)["image_status"]["status"] == "success", "the build has ended")


@pytest.mark.parametrize("status", ["pending", "building", "uploading", "registering", "success", "failure"])
def test_each_status_of_the_composer_is_passed_on(client: Client, composer: StandInComposer, status: str) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(image_status={"status": status})
    assert status_of(client, compose_id)["image_status"] == {"status": status}


def test_progress_is_passed_on(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    progress = {"done": 2, "total": 4, "subprogress": {"done": 0, "total": 9}}
    composer.steer(image_status={"status": "building", "progress": progress})
    assert status_of(client, compose_id)["image_status"] == {"status": "building", "progress": progress}


def test_fields_that_the_composer_leaves_empty_are_omitted(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(image_status={"status": "building", "progress": None, "upload_status": None, "error": None})
    assert status_of(client, compose_id)["image_status"] == {"status": "building"}


EVERY_OPTION = {
    "ami": "ami-1",
    "region": "r",
    "url": "https://x.example/?a=b&c=d",
    "image_name": "n",
    "project_id": "p",
    "else": 1,
}
OF_TYPE = {
    "aws": {"ami", "region"},
    "aws.s3": {"url"},
    "gcp": {"image_name", "project_id"},
    "azure": {"image_name"},
    "oci.objectstorage": {"url"},
}


@pytest.mark.parametrize("upload", OF_TYPE)
def test_the_options_of_an_upload_are_those_of_its_type(client: Client, composer: StandInComposer, upload: str) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(
        image_status={
            "status": "success",
            "upload_status": {"status": "success", "type": upload, "options": EVERY_OPTION},
        }
    )
    assert status_of(client, compose_id)["image_status"]["upload_status"] == {
        "status": "success",
        "type": upload,
        "options": {name: EVERY_OPTION[name] for name in OF_TYPE[upload]},
    }


INNERMOST = {"id": 22, "reason": "DNF error", "details": "no match"}
ERRORS: list[tuple[Any, Any]] = [
    (INNERMOST, INNERMOST),
    ({"id": 22, "reason": "r"}, {"id": 22, "reason": "r"}),
    ({"id": 5, "reason": "outer", "details": [INNERMOST, {"id": 1, "reason": "second"}]}, INNERMOST),
    ({"id": 9, "reason": "outer", "details": INNERMOST}, INNERMOST),
    ({"id": 26, "reason": "o", "details": [{"id": 28, "reason": "o", "details": [INNERMOST]}]}, INNERMOST),
    ({"id": 5, "reason": "o", "details": "just text"}, {"id": 5, "reason": "o", "details": "just text"}),
    ({"id": 5, "reason": "o", "details": []}, {"id": 5, "reason": "o", "details": []}),
    ({"id": 5, "reason": "o", "details": {"id": 7}}, {"id": 5, "reason": "o", "details": {"id": 7}}),
    ({"id": 5, "reason": "o", "details": ["text"]}, {"id": 5, "reason": "o", "details": ["text"]}),
    ({"id": 5, "reason": "o", "details": [None]}, {"id": 5, "reason": "o", "details": [None]}),
    ({"id": 5, "reason": "o"}, {"id": 5, "reason": "o"}),
    ({"id": 28, "reason": "o", "details": [{"id": 5, "reason": "i"}]}, {"id": 5, "reason": "i"}),
    ({"id": 10, "reason": "o", "details": [INNERMOST]}, {"id": 10, "reason": "o", "details": [INNERMOST]}),
]


@pytest.mark.parametrize(("theirs", "ours"), ERRORS, ids=range(len(ERRORS)))
def test_a_nested_error_is_answered_by_its_innermost_error(
    client: Client, composer: StandInComposer, theirs: Any, ours: Any
) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(image_status={"status": "failure", "error": theirs})
    found = status_of(client, compose_id)["image_status"]
    explained = {name: found["error"].pop(name) for name in ("code", "responsible", "retryable", "hint")}
    assert found == {"status": "failure", "error": ours}
    assert None not in explained.values()


def test_a_failed_build_is_explained_even_if_the_composer_no_longer_knows_it(
    client: Client, composer: StandInComposer
) -> None:
    compose_id = client.compose(compose_request(customizations={"packages": ["vim", "no-such-package-x"]}))
    assert wait_for_end(client, compose_id)["status"] == "failure"
    composer.reset()
    error = status_of(client, compose_id)["image_status"]["error"]
    assert (error["code"], error["responsible"], error["retryable"]) == ("packages-not-found", "request", False)
    assert "no-such-package-x" in error["hint"]
    assert "Correct the names" in error["hint"]


# The metadata


def test_the_packages_of_a_built_image_are_answered(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request(customizations={"packages": ["tmux"]}))
    assert wait_for_end(client, compose_id)["status"] == "success"
    metadata = client.get(f"/composes/{compose_id}/metadata").json()
    assert set(metadata) == {"packages"}
    names = {"type", "name", "version", "release", "epoch", "arch", "sigmd5", "signature"}
    assert all(set(package) <= names for package in metadata["packages"])
    assert "tmux" in {package["name"] for package in metadata["packages"]}


def test_the_commit_of_a_built_ostree_image_is_answered(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request("edge-commit"))
    assert wait_for_end(client, compose_id)["status"] == "success"
    assert client.get(f"/composes/{compose_id}/metadata").json()["ostree_commit"]


# Deleting, and whose builds they are


def test_a_deleted_compose_is_hidden(
    client: Client, tenant: str, composer: StandInComposer, module_database: Parameters
) -> None:
    compose_id = client.compose(compose_request())
    answer = client.delete(f"/composes/{compose_id}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert listed(client)["data"] == []
    refusal(client.get(f"/composes/{compose_id}"), 404)
    refusal(client.get(f"/composes/{compose_id}/metadata"), 404)
    assert counts(module_database, tenant) == (1, 0)


def test_a_repeated_deletion_succeeds(client: Client) -> None:
    compose_id = client.compose(compose_request())
    for _ in range(2):
        answer = client.delete(f"/composes/{compose_id}")
        assert (answer.status_code, answer.content) == (200, b"")


def test_a_compose_of_another_organization_gets_the_same_404_as_an_unknown_one(
    client: Client, service: Service, composer: StandInComposer
) -> None:
    compose_id = service.client("its-owner").compose(compose_request())
    never = uuid4()
    for method, path in (("GET", "/composes/{}"), ("GET", "/composes/{}/metadata"), ("DELETE", "/composes/{}")):
        theirs = client.request(method, path.format(compose_id))
        unknown = client.request(method, path.format(never))
        assert refusal(theirs, 404) == refusal(unknown, 404)
    assert status_of(service.client("its-owner"), compose_id)


def test_an_account_number_is_not_the_organization_of_the_same_digits(
    service: Service, composer: StandInComposer
) -> None:
    number = str(uuid4().int)
    compose_id = service.client(number).compose(compose_request())
    by_account = Client(service.url, {"x-rh-identity": identity("", account_number=number)})
    assert listed(by_account)["data"] == []
    refusal(by_account.get(f"/composes/{compose_id}"), 404)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("compose_id", ["1", "not-a-uuid", "0" * 32 + "x", "%00", "null"])
def test_an_id_that_is_not_a_uuid_is_refused(client: Client, method: str, compose_id: str) -> None:
    refusal(client.request(method, f"/composes/{compose_id}"), 400)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_request_without_an_identity_is_refused(service: Service, method: str) -> None:
    path = "/compose" if method == "POST" else f"/composes/{uuid4()}"
    refusal(Client(service.url, {}).request(method, path), 401)


# The composer forgets, or is away


def test_a_compose_that_the_composer_no_longer_knows_is_not_found(client: Client, composer: StandInComposer) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(forget=True)
    refusal(client.get(f"/composes/{compose_id}"), 404)
    refusal(client.get(f"/composes/{compose_id}/metadata"), 404)
    assert len(listed(client)["data"]) == 1


@pytest.mark.parametrize(
    "raw",
    [
        {"status": 500, "body": "<h1>at composer.internal.example</h1>"},
        {"status": 418, "body": "composer.internal.example"},
        {"status": 200, "body": "<h1>composer.internal.example</h1>"},
        {"status": 200, "body": {"image_status": {"status": 7}}, "content_type": "application/json"},
        {"status": 200, "body": {}, "content_type": "application/json"},
        {"status": 200, "body": [], "content_type": "application/json"},
        {"status": 302, "body": "composer.internal.example"},
    ],
    ids=str,
)
def test_an_unusable_answer_of_the_composer_counts_as_unavailable(
    client: Client, composer: StandInComposer, raw: dict[str, Any]
) -> None:
    compose_id = client.compose(compose_request())
    composer.steer(status_raw=raw)
    unavailable(client.get(f"/composes/{compose_id}"), "internal.example")


def test_without_a_composer_no_build_is_started_and_none_counts(
    without_composer: Service, tenant: str, module_database: Parameters
) -> None:
    client = without_composer.client(tenant)
    unavailable(client.post("/compose", compose_request()))
    assert counts(module_database, tenant) == (0, 0)


def test_without_a_composer_lists_and_deletions_work(
    without_composer: Service, tenant: str, module_database: Parameters
) -> None:
    client = without_composer.client(tenant)
    compose_id = insert_compose(module_database, tenant)
    unavailable(client.get(f"/composes/{compose_id}"))
    unavailable(client.get(f"/composes/{compose_id}/metadata"))
    refusal(client.get(f"/composes/{uuid4()}"), 404)
    assert listed(client)["meta"]["count"] == 1
    assert client.delete(f"/composes/{compose_id}").status_code == 200
    refusal(client.get(f"/composes/{compose_id}"), 404)


def test_an_error_of_a_gateway_counts_as_unavailable_and_ends_further_calls(
    database: Parameters, composer: StandInComposer
) -> None:
    with Service(database, composer.url) as service:
        client = service.client()
        compose_id = client.compose(compose_request())
        composer.steer(status_raw={"status": 502, "body": "<h1>composer.internal.example</h1>"})
        for _ in range(8):
            unavailable(client.get(f"/composes/{compose_id}"), "internal.example")
        assert composer.counters()["GET /composes/{id}"] < 24
        assert listed(client)["meta"]["count"] == 1


# The database is away


def test_while_the_database_is_unavailable_answers_are_503_with_retry_after(
    database: Parameters, postgres: Parameters, composer: StandInComposer
) -> None:
    with Service(database, composer.url) as service:
        client = service.client()
        compose_id = client.compose(compose_request())
        with away(database, postgres):
            for method, path in (
                ("GET", "/composes"),
                ("GET", f"/composes/{compose_id}"),
                ("DELETE", f"/composes/{compose_id}"),
            ):
                unavailable(client.request(method, path), database["dbname"], "FATAL")
            unavailable(client.post("/compose", compose_request()), database["dbname"])
            assert composer.counters()["POST /compose"] == 1
            assert client.get("/version").status_code == 200
        deadline = time.monotonic() + PATIENCE
        while client.get("/composes").status_code != 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert listed(client)["meta"]["count"] == 1
