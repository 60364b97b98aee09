"""The stand-in composer over a socket, as its clients see it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.composer.schema import compose_request_validator
from tests.support.stand_in import Client, Json, a_request, with_packages
from tests.support.waiting import STRETCH


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandInComposer]:
    """A stand-in whose builds take no time."""
    with StandInComposer(tmp_path_factory.mktemp("composer") / "state.sqlite", seconds=0) as composer:
        yield composer


@pytest.fixture
def composer(process: StandInComposer) -> StandInComposer:
    process.reset()
    return process


def stages(composer: StandInComposer, body: Json) -> list[Json]:
    """The different image statuses of a compose in order, up to the final one."""
    client, seen = Client(composer), list[Json]()
    compose_id = client.queued(body)
    while not seen or seen[-1]["status"] not in ("success", "failure"):
        status = client.image_status(compose_id)
        if not seen or status["status"] != seen[-1]["status"]:
            seen.append(status)
        time.sleep(0.01)
    client.session.close()
    return seen


@pytest.fixture(scope="module")
def watched() -> list[list[Json]]:
    """Three concurrent builds: one for AWS, one with a missing package, one with a failing upload."""
    to_aws = a_request("aws", {"region": "eu-west-1", "share_with_accounts": ["123456789012"]})
    bodies = [to_aws, with_packages("bash", "no-such-package-x"), with_packages("upload-will-fail-y")]
    with StandInComposer(seconds=3 * STRETCH) as composer, ThreadPoolExecutor(3) as threads:
        return list(threads.map(lambda body: stages(composer, body), bodies))


def test_the_openapi_document_names_the_stand_in(call: Client) -> None:
    answer = call("GET", "/openapi")
    assert answer.json()["info"]["title"].startswith("stand-in composer")
    assert answer.headers["Server"] == "stand-in-composer"


def test_a_compose_is_answered_with_its_id(call: Client) -> None:
    answer = call.post()
    assert answer.status_code == 201
    assert UUID(answer.json()["id"])
    assert answer.json()["kind"] == "ComposeId"


def test_an_image_for_aws_passes_through_all_stages(watched: list[list[Json]]) -> None:
    names = [status["status"] for status in watched[0]]
    assert names == ["pending", "building", "uploading", "registering", "success"]


def test_a_build_shows_its_progress(watched: list[list[Json]]) -> None:
    progress = watched[0][1]["progress"]
    assert progress["done"] < progress["total"]
    assert progress["subprogress"].keys() == {"done", "total"}


def test_an_upload_is_running_before_it_succeeds(watched: list[list[Json]]) -> None:
    statuses = [status["upload_status"]["status"] for status in watched[0] if "upload_status" in status]
    assert statuses == ["running", "running", "success"]


def test_a_missing_package_fails_the_build_with_a_nested_cause(watched: list[list[Json]]) -> None:
    assert [status["status"] for status in watched[1]] == ["pending", "building", "failure"]
    error = watched[1][-1]["error"]
    assert error["id"] == 5
    assert error["details"][0]["id"] == 21
    assert "missing packages: no-such-package-x" in error["details"][0]["details"]


def test_an_upload_can_fail(watched: list[list[Json]]) -> None:
    assert [status["status"] for status in watched[2]] == ["pending", "building", "uploading", "failure"]
    assert watched[2][-1]["upload_status"]["status"] == "failure"
    assert watched[2][-1]["error"]["details"][0]["reason"].startswith("Error uploading image")


@pytest.mark.parametrize(
    ("image_type", "options", "upload_type", "keys"),
    [
        ("aws", {"region": "us-east-1", "share_with_accounts": ["1"]}, "aws", {"ami", "region"}),
        ("guest-image", {"region": "us-east-1"}, "aws.s3", {"url"}),
        ("gcp", {"region": "eu"}, "gcp", {"image_name", "project_id"}),
        ("azure", {"tenant_id": "t", "subscription_id": "s", "resource_group": "g"}, "azure", {"image_name"}),
        ("oci", {}, "oci.objectstorage", {"url"}),
    ],
)
def test_a_built_image_has_the_upload_options_of_its_type(
    call: Client, image_type: str, options: Json, upload_type: str, keys: set[str]
) -> None:
    body = a_request(image_type)
    body["image_request"]["upload_options"] = options
    upload = call.image_status(call.queued(body))["upload_status"]
    assert (upload["status"], upload["type"], upload["options"].keys()) == ("success", upload_type, keys)


def test_composes_survive_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "state.sqlite"
    with StandInComposer(state, seconds=0) as first:
        compose_id = Client(first).queued(with_packages("no-such-package"))
        before = Client(first).image_status(compose_id)
    with StandInComposer(state, seconds=0) as second:
        assert Client(second).image_status(compose_id) == before
        assert second.behaviour()["composes"] == 1


def test_the_files_of_the_composes_are_private(tmp_path: Path) -> None:
    made, of_before = tmp_path / "made" / "state.sqlite", tmp_path / "before.sqlite"
    with StandInComposer(of_before, seconds=0) as first:
        compose_id = Client(first).queued(a_request())
        modes_beside = {path.name for path in tmp_path.glob("before.sqlite*")}
        first._process.kill()  # so that the files beside it stay
    for path in tmp_path.glob("before.sqlite*"):
        path.chmod(0o644)
    with StandInComposer(of_before, seconds=0) as second, StandInComposer(made, seconds=0) as third:
        Client(second).image_status(compose_id)
        Client(third).queued(a_request())
        files = [*tmp_path.glob("before.sqlite*"), *made.parent.iterdir()]
        assert {path.stat().st_mode & 0o7777 for path in files} == {0o600}
        assert made.parent.stat().st_mode & 0o7777 == 0o700
    assert modes_beside == {"before.sqlite", "before.sqlite-wal", "before.sqlite-shm"}


def test_metadata_have_the_request_with_its_defaults_and_the_packages(call: Client) -> None:
    body = with_packages("nginx", "@core")
    metadata = call.metadata(call.queued(body))
    assert metadata["request"] == {
        **body,
        "image_request": {**body["image_request"], "size": 0},
        "customizations": {**body["customizations"], "partitioning_mode": "auto-lvm"},
    }
    assert {"bash", "nginx"} <= {package["name"] for package in metadata["packages"]}


def test_metadata_of_an_ostree_commit_name_it(call: Client) -> None:
    assert len(call.metadata(call.queued(a_request("edge-commit")))["ostree_commit"]) == 64


def test_composes_are_listed_newest_first(call: Client) -> None:
    ids = [call.queued() for _ in range(3)]
    assert [item["id"] for item in call("GET", "/composes/").json()["items"]] == ids[::-1]


def test_a_deleted_compose_is_gone(call: Client) -> None:
    compose_id = call.queued()
    assert call("DELETE", f"/composes/{compose_id}").json()["kind"] == "ComposeDeleteStatus"
    assert call("GET", f"/composes/{compose_id}").status_code == 404
    assert call("DELETE", f"/composes/{compose_id}").status_code == 404
    assert call.composer.behaviour()["deleted"] == [compose_id]


@pytest.mark.parametrize(
    ("path", "status"),
    [(f"/composes/{UUID(int=17)}", 404), ("/composes/17", 400), ("/distributions/beos-5", 404), ("/nowhere", 404)],
)
def test_an_error_has_the_format_of_the_composer(call: Client, path: str, status: int) -> None:
    answer = call("GET", path)
    assert answer.status_code == status
    assert answer.json()["kind"] == "Error"
    assert {"href", "code", "reason", "operation_id"} <= answer.json().keys()
    assert isinstance(answer.json()["id"], str)


@pytest.mark.parametrize(
    "wrong",
    [
        a_request(surprise=1),
        a_request("floppy"),
        a_request(options={"region": "x", "surprise": 1}),
        a_request(customizations={"users": [{"name": "u", "hasPassword": True}]}),
        a_request(customizations={"services": {"enabled": []}}),
        a_request(customizations={"packages": None}),
        a_request(blueprint_id="17"),
        {"distribution": "rhel-9.6", "image_request": {"architecture": "x86_64", "image_type": "aws"}},
    ],
)
def test_a_body_that_violates_the_schema_is_refused(call: Client, wrong: Json) -> None:
    assert not compose_request_validator().is_valid(wrong)
    answer = call.post(wrong)
    assert (answer.status_code, answer.json()["id"]) == (400, "30")
    assert call.composer.behaviour()["composes"] == 0


def test_a_body_that_is_not_json_is_refused(call: Client) -> None:
    headers = {"Content-Type": "application/json"}
    answer = call("POST", "/compose", data=b"{\xff", headers=headers)
    assert (answer.status_code, answer.json()["id"]) == (400, "20")
    assert call("POST", "/compose", data=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415


@pytest.mark.parametrize(
    ("body", "error_id"),
    [
        (a_request(image={"ostree": {"url": "https://unreachable.invalid/repo"}}), "10"),
        (a_request(customizations={"payload_repositories": [{"rhsm": False}]}), "24"),
        (a_request(image={"repositories": [{"baseurl": "https://example.com", "check_gpg": True}]}), "29"),
        (a_request(distribution="beos-5"), "4"),
        (a_request(image={"architecture": "vax"}), "5"),
        (a_request("network-installer", customizations={"packages": ["vim"]}), "11"),
        (a_request("edge-installer", customizations={"kernel": {"append": "x"}, "users": [{"name": "u"}]}), "11"),
        ({"distribution": "rhel-9.6"}, "25"),
    ],
)
def test_a_request_that_cannot_be_built_is_refused_with_the_number_of_the_error(
    call: Client, body: Json, error_id: str
) -> None:
    answer = call.post(body)
    assert (answer.status_code, answer.json()["id"]) == (400, error_id)


def test_an_installer_accepts_the_customizations_that_it_supports(call: Client) -> None:
    call.queued(a_request("network-installer", customizations={"locale": {"keyboard": "us"}}))
    call.queued(a_request("edge-installer", customizations={"users": [{"name": "u"}], "groups": [{"name": "g"}]}))


def test_a_bootc_image_needs_no_distribution(call: Client) -> None:
    body = a_request(bootc={"reference": "registry.example.com/rhel-bootc:9"})
    del body["distribution"]
    assert call.post(body).status_code == 201


def test_packages_are_found_by_globs(call: Client) -> None:
    wanted = {"packages": ["*ssh-*", "jq", "nothing"], "distribution": "fedora-42", "architecture": "aarch64"}
    found = call("POST", "/search/packages", json=wanted).json()["packages"]
    assert [package["name"] for package in found] == ["jq", "openssh-clients", "openssh-server"]
    assert found[0]["release"].endswith("fc42")


def test_a_distribution_is_described_by_architecture_and_image_type(call: Client) -> None:
    query = [("architecture", "x86_64"), ("image_type", "ami"), ("image_type", "guest-image")]
    architectures = call("GET", "/distributions/centos-10", params=query).json()["architectures"]
    assert architectures.keys() == {"x86_64"}
    image_types = architectures["x86_64"]["image_types"]
    assert image_types.keys() == {"aws", "guest-image"}
    assert "packages" in image_types["aws"]["supported_blueprint_options"]
    assert "rhel-9.6" in call("GET", "/distributions").json()
