"""Distributions, architectures and bootc images, as clients see them: what can be built, and by which callers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request, encoded
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.rows import stored_row
from tests.support.service import PROJECT, Client, Service

NIGHTLY = "rhel-9-nightly"
REFERENCE = "quay.io/example/bootc:9"


def repository(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "baseurl": f"https://mirror.example/{name}/", "rhsm": False, "gpgkey": "k", **fields}


# Keys no contract knows, image types of other programs, a metalink, tags, one architecture, bootc.
ADDED: dict[str, Any] = {
    "module_platform_id": "platform:el9",
    "of_the_future": {},
    "distribution": {
        "name": "added-1.0",
        "composer_name": "centos-9",
        "description": "Added Linux 1.0",
        "no_package_list": True,
    },
    "x86_64": {
        "image_types": ["openstack", "guest-image"],
        "repositories": [
            repository("base", check_gpg=False),
            {"id": "more", "metalink": "https://mirror.example/metalink", "rhsm": False, "gpgkey": "k"},
            repository("cloud", image_type_tags=["gcp"]),
        ],
        "bootc": [
            {"type": "guest-image", "reference": REFERENCE},
            {"type": "bootable-container-iso", "reference": REFERENCE, "iso_payload_references": ["quay.io/a/b:1"]},
        ],
    },
}


def write_distribution(directory: Path, name: str, document: Any) -> Path:
    (directory / name).mkdir()
    path = directory / name / f"{name}.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distributions of the repository, an added one, and an alias of a restricted one."""
    copy = tmp_path_factory.mktemp("state") / "distributions"
    shutil.copytree(PROJECT / "distributions", copy, symlinks=True)
    write_distribution(copy, "added-1.0", ADDED)
    (copy / "added").symlink_to("added-1.0")
    (copy / "tonight").symlink_to(NIGHTLY)
    return copy


@pytest.fixture(scope="module")
def service(module_database: Parameters, composer_process: StandInComposer, directory: Path) -> Iterator[Service]:
    allow_file = directory.parent / "allow.json"
    allow_file.write_text(json.dumps({"insider": ["9-night"], "by-alias": ["tonight"], "*": [r"^fedora-3[78]$"]}))
    environment = {"DISTRIBUTIONS_DIR": str(directory), "ALLOW_FILE": str(allow_file)}
    with Service(module_database, composer_process.url, environment=environment) as running:
        yield running


def names(client: Client) -> list[str]:
    answer = client.get("/distributions")
    assert answer.status_code == 200, answer.text
    assert all(set(each) == {"name", "description"} for each in answer.json())
    return [each["name"] for each in answer.json()]


def bootc(client: Client, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/distributions?kind=bootc{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def test_the_distributions_of_a_caller_are_listed_sorted_with_aliases(service: Service) -> None:
    found = names(service.client())
    assert found == sorted(found)
    assert {"centos-9", "centos-10", "rhel-9", "rhel-9.8", "rhel-8.10", "added", "added-1.0"} <= set(found)


def test_an_alias_has_its_targets_description(service: Service) -> None:
    found = {each["name"]: each["description"] for each in service.client().get("/distributions").json()}
    assert found["rhel-9"] == found["rhel-9.8"]
    assert found["added"] == "Added Linux 1.0"


def test_a_distribution_does_not_exist_for_callers_without_its_entitlement(service: Service) -> None:
    client = service.client(entitled=False)
    assert not [name for name in names(client) if name.startswith("rhel-9.")]
    assert "centos-9" in names(client)
    assert refusal(client.get("/architectures/rhel-9"), 400) == "distribution not available"
    refusal(client.get("/architectures/no-such-one"), 400)
    answer = client.post("/compose", compose_request(distribution="rhel-9"))
    assert refusal(answer, 400) == "distribution not available"


def test_a_restricted_distribution_is_allowed_if_a_pattern_matches_any_part_of_its_name(service: Service) -> None:
    assert NIGHTLY in names(service.client("insider"))
    assert NIGHTLY not in names(service.client("outsider"))
    assert {"fedora-37", "fedora-38"} <= set(names(service.client("outsider")))
    assert "fedora-39" not in names(service.client("insider"))


def test_access_to_an_alias_is_decided_by_its_target(service: Service) -> None:
    assert "tonight" in names(service.client("insider"))
    assert "tonight" not in names(service.client("by-alias"))


def test_the_error_about_a_restricted_distribution_names_it(service: Service, composer: StandInComposer) -> None:
    client = service.client("outsider")
    for name in (NIGHTLY, "tonight"):
        expected = f"This account's organization is not authorized to build {NIGHTLY} images"
        assert refusal(client.get(f"/architectures/{name}"), 403) == expected
        assert refusal(client.post("/compose", compose_request(distribution=name)), 403) == expected
    assert "POST /compose" not in composer.counters()


def test_an_allowed_caller_can_build_a_restricted_distribution(service: Service, composer: StandInComposer) -> None:
    service.client("insider").compose(compose_request(distribution="tonight"))


def test_without_an_allow_list_no_caller_can_build_restricted_distributions(
    database: Parameters, composer: StandInComposer
) -> None:
    with Service(database, composer.url, environment={"ALLOW_FILE": ""}) as service:
        assert not {NIGHTLY, "fedora-37"} & set(names(service.client("insider")))


# Architectures


def test_architectures_are_listed_with_image_types_and_repositories(service: Service) -> None:
    assert service.client().get("/architectures/added").json() == [
        {
            "arch": "x86_64",
            "image_types": ["openstack", "guest-image"],
            "repositories": [
                {"baseurl": "https://mirror.example/base/", "rhsm": False},
                {"metalink": "https://mirror.example/metalink", "rhsm": False},
            ],
        }
    ]


def test_x86_64_comes_first(service: Service) -> None:
    found = service.client().get("/architectures/centos-9").json()
    assert [each["arch"] for each in found] == ["x86_64", "aarch64"]


def test_an_architecture_without_repositories_has_an_empty_list(service: Service) -> None:
    assert service.client().get("/architectures/hummingbird").json() == [
        {"arch": "x86_64", "image_types": [], "repositories": []}
    ]


# Bootable containers


def test_every_bootc_image_is_listed_including_those_of_aliases(service: Service) -> None:
    found = bootc(service.client())
    assert {"added", "added-1.0", "hummingbird"} <= {each["distro"] for each in found}
    assert [each["distro"] for each in found] == sorted(each["distro"] for each in found)
    required = {"distro", "name", "type", "arch", "reference"}
    assert all(required <= set(each) <= {*required, "iso_payload_references"} for each in found)
    assert {
        "distro": "added",
        "name": "Added Linux 1.0",
        "type": "bootable-container-iso",
        "arch": "x86_64",
        "reference": REFERENCE,
        "iso_payload_references": ["quay.io/a/b:1"],
    } in found


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("&distro=added", 2),
        ("&distro=added&type=guest-image", 1),
        ("&distro=added&arch=x86_64", 2),
        ("&distro=added&arch=aarch64", 0),
        ("&distro=added&arch=x86_64&type=guest-image", 1),
        ("&distro=no-such-one", 0),
        ("&distro=centos-9&type=no-such-type", 0),
    ],
)
def test_bootc_images_can_be_filtered(service: Service, query: str, count: int) -> None:
    assert len(bootc(service.client(), query)) == count


def test_bootc_images_are_listed_for_every_caller(service: Service) -> None:
    assert bootc(service.client(entitled=False)) == bootc(service.client("insider"))


def test_an_unknown_kind_of_distribution_is_refused(service: Service) -> None:
    refusal(service.client().get("/distributions?kind=else"), 400)


# A folder more


def test_a_distribution_of_an_added_folder_is_listed(service: Service) -> None:
    for path, base in (("/openapi.json", ""), ("/openapi.json", "/api/image-builder/v1")):
        document = Client(service.url, {}).get(path, base=base).json()
        known = document["components"]["schemas"]["Distributions"]["enum"]
        assert {"added", "added-1.0", "tonight", "centos-9"} <= set(known)
        assert len(known) == len(set(known))


@pytest.mark.parametrize("name", ["added", "added-1.0"])
def test_a_distribution_of_an_added_folder_can_be_built(
    service: Service, composer: StandInComposer, module_database: Parameters, name: str
) -> None:
    client = service.client("adding")
    compose_id = client.compose(compose_request(distribution=name))
    assert stored_row(module_database, compose_id)["request"]["distribution"] == name
    assert client.get(f"/composes/{compose_id}").json()["request"]["distribution"] == name


def test_a_bootc_image_of_an_added_folder_can_be_built(service: Service, composer: StandInComposer) -> None:
    service.client().compose(compose_request(distribution=None, bootc={"reference": REFERENCE}))


def test_an_unlisted_bootc_image_is_refused_by_name(service: Service, composer: StandInComposer) -> None:
    request = compose_request(distribution=None, bootc={"reference": "quay.io/else/where:1"})
    detail = refusal(service.client().post("/compose", request), 400)
    assert detail == "bootc reference 'quay.io/else/where:1' not found"


def test_a_distribution_that_is_not_installed_is_refused(service: Service, composer: StandInComposer) -> None:
    refusal(service.client().post("/compose", compose_request(distribution="beos-5")), 400)


# What stops the start


def refusal_to_start(database: Parameters, **environment: str) -> str:
    status, output = Service(database, "http://127.0.0.1:1", environment=environment).refusal_to_start()
    assert status != 0
    assert "Traceback" not in output
    return output


def test_a_broken_distribution_stops_the_start_naming_file_and_field(database: Parameters, tmp_path: Path) -> None:
    broken = {**ADDED, "x86_64": {"repositories": [repository("a", metalink="https://both.example")]}}
    path = write_distribution(tmp_path, "broken", broken)
    write_distribution(tmp_path, "added-1.0", ADDED)
    output = refusal_to_start(database, DISTRIBUTIONS_DIR=str(tmp_path))
    assert str(path) in output
    assert "repositories[0]" in output
    assert "metalink" in output


def test_a_directory_without_distributions_stops_the_start(database: Parameters, tmp_path: Path) -> None:
    assert str(tmp_path) in refusal_to_start(database, DISTRIBUTIONS_DIR=str(tmp_path))


def test_a_broken_allow_file_stops_the_start_naming_file_and_entry(database: Parameters, tmp_path: Path) -> None:
    path = tmp_path / "allow.json"
    path.write_text('{"org-1": ["("]}')
    output = refusal_to_start(database, ALLOW_FILE=str(path))
    assert str(path) in output
    assert "org-1" in output


# Fedora accounts


@pytest.fixture(scope="module")
def fedora(
    module_database: Parameters, composer_process: StandInComposer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    allow_file = tmp_path_factory.mktemp("fedora") / "allow.json"
    allow_file.write_text('{"*": ["fedora"]}')
    environment = {"FEDORA_AUTH": "true", "ALLOW_FILE": str(allow_file)}
    with Service(module_database, composer_process.url, environment=environment) as running:
        yield running


def fedora_client(service: Service, user: str) -> Client:
    return Client(service.url, {"x-fedora-identity": encoded({"user": user})})


def test_each_fedora_account_is_a_separate_tenant(
    fedora: Service, composer: StandInComposer, module_database: Parameters
) -> None:
    one, another = fedora_client(fedora, "one"), fedora_client(fedora, "another")
    compose_id = one.compose(compose_request(distribution="fedora-43"))
    assert [each["id"] for each in one.get("/composes").json()["data"]] == [compose_id]
    assert one.get(f"/composes/{compose_id}").status_code == 200
    refusal(another.get(f"/composes/{compose_id}"), 404)
    assert another.get("/composes").json()["data"] == []
    row = stored_row(module_database, compose_id)
    assert (row["org_id"], row["account_number"], row["email"]) == ("one", "", "")


def test_a_fedora_account_is_never_entitled(fedora: Service) -> None:
    found = names(fedora_client(fedora, "one"))
    assert "fedora-43" in found
    assert not [name for name in found if name.startswith("rhel-9.")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-fedora-identity": "%"},
        {"x-fedora-identity": encoded([])},
        {"x-fedora-identity": encoded({})},
        {"x-fedora-identity": encoded({"user": ""})},
        {"x-fedora-identity": encoded({"user": 7})},
    ],
    ids=str,
)
def test_an_invalid_fedora_header_is_refused(fedora: Service, headers: dict[str, str]) -> None:
    refusal(Client(fedora.url, headers).get("/composes"), 401)


def test_a_red_hat_identity_is_401_in_a_fedora_installation(fedora: Service) -> None:
    refusal(fedora.client().get("/composes"), 401)


def test_a_fedora_identity_is_401_in_a_red_hat_installation(service: Service) -> None:
    refusal(fedora_client(service, "one").get("/composes"), 401)
