"""Each error of a build that the stand-in composer can produce is explained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from adapters.embedded.composer.build_errors import IDS, PREFIX
from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.composes import status_of
from tests.support.databases import Parameters
from tests.support.listed_distribution import write_listed_distribution
from tests.support.service import Service
from tests.support.waiting import until

# Code, responsible, whether the same request can succeed later, and a name that the hint has.
EXPECTED: dict[int, tuple[str, str, bool, str]] = {
    1: ("invalid-request", "request", False, "No dynamic arguments"),
    2: ("upload-refused", "request", False, "123456789012"),
    3: ("image-not-shared", "request", False, "123456789012"),
    4: ("upload-refused", "request", False, "123456789012"),
    5: ("package-manager", "platform", True, "Error in depsolve job"),
    6: ("internal", "platform", True, "Unable to read the status of a job"),
    7: ("internal", "platform", True, "Unable to parse dynamic arguments"),
    8: ("internal", "platform", True, "Unable to generate the manifest"),
    9: ("invalid-request", "request", False, "Manifest dependency failed"),
    10: ("build-failed", "platform", True, "logs"),
    11: ("upload-refused", "platform", True, "123456789012"),
    12: ("upload-refused", "platform", True, "123456789012"),
    17: ("internal", "platform", True, "Invalid worker configuration"),
    18: ("internal", "platform", True, "Result of an old worker"),
    19: ("invalid-request", "request", False, "empty image"),
    20: ("packages-conflict", "request", False, "foo-1.0-1.el9.x86_64 needs libfoo.so.1"),
    21: ("packages-not-found", "request", False, "ngnix (did you mean nginx?)"),
    22: ("package-manager", "platform", True, "InvalidRequest"),
    23: ("repository-metadata", "platform", True, "https://repo.invalid/os/"),
    24: ("invalid-request", "request", False, "No package specifications"),
    25: ("repository-unavailable", "platform", True, "https://repo.invalid/os/"),
    26: ("invalid-request", "request", False, "A dependency failed"),
    27: ("worker-lost", "platform", True, "machine"),
    28: ("upload-refused", "request", False, "upload options"),
    29: ("internal", "platform", True, "Unable to parse the arguments of a job"),
    30: ("container-not-found", "request", False, "registry.invalid/team/app:latest"),
    31: ("container-registry", "platform", True, "registry.invalid/team/app:latest"),
    32: ("ostree", "platform", True, "`ostree` options"),
    33: ("ostree", "platform", True, "https://ostree.invalid/repo/"),
    34: ("ostree", "platform", True, "`ostree` options"),
    35: ("ostree", "request", False, "https://ostree.invalid/repo/"),
    36: ("file-not-found", "platform", True, "https://files.invalid/setup"),
    37: ("worker-lost", "platform", True, "machine"),
    38: ("internal", "platform", True, "Unable to sign the download link"),
    39: ("repository-unavailable", "platform", True, "https://repo.invalid/os/"),
}


@pytest.fixture(scope="module")
def listed(
    module_database: Parameters, composer_process: StandInComposer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The service with one distribution that has a package list."""
    parent = tmp_path_factory.mktemp("distributions")
    write_listed_distribution(parent, "centos-9", {"nginx": "A web server"}, {"image_types": ["guest-image"]})
    with Service(module_database, composer_process.url, environment={"DISTRIBUTIONS_DIR": str(parent)}) as running:
        yield running


@pytest.fixture
def errors(listed: Service, composer: StandInComposer, tenant: str) -> dict[int, dict[str, Any]]:
    """The error of a build for each id."""
    client = listed.client(tenant)
    requests = {number: compose_request(customizations={"packages": [f"{PREFIX}{number}"]}) for number in IDS}
    builds = {number: client.compose(request) for number, request in requests.items()}

    def status(compose_id: str) -> dict[str, Any]:
        image_status: dict[str, Any] = status_of(client, compose_id)["image_status"]
        return image_status

    found = {}
    for number, compose_id in builds.items():
        until(lambda each=compose_id: status(each)["status"] == "failure", f"the end of the build with error {number}")
        found[number] = status(compose_id)["error"]
    return found


def test_each_error_has_a_code_a_responsible_and_a_hint_with_names(errors: dict[int, dict[str, Any]]) -> None:
    assert errors.keys() == EXPECTED.keys()
    explained = {
        number: (error["code"], error["responsible"], error["retryable"], EXPECTED[number][3])
        for number, error in errors.items()
    }
    assert explained == EXPECTED
    assert {number: error["id"] for number, error in errors.items()} == {number: number for number in errors}
    without = [number for number, error in errors.items() if EXPECTED[number][3] not in error["hint"]]
    assert without == []
