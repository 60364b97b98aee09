"""OpenSCAP profiles and compliance policies, as a client that hardens images sees them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform import sample_data
from adapters.embedded.platform.process import StandInPlatform
from tests.support.builders import compose_request, encoded
from tests.support.databases import Parameters
from tests.support.platform import service_with
from tests.support.refusals import refusal
from tests.support.service import PROJECT, Client, Service
from tests.support.waiting import PATIENCE

CIS = "xccdf_org.ssgproject.content_profile_cis"
PREFIX = CIS.removesuffix("cis")
OWN = "xccdf_com.example_profile_own"
OWN_CUSTOMIZATIONS = {
    "openscap": {"profile_id": OWN},
    "users": [{"name": "audit"}],
    "groups": [],
    "services": {"enabled": [], "masked": ["rpcbind"]},
}
UNENTITLED = {"identity": {"org_id": "nobody", "type": "User"}, "entitlements": {"rhel": {"is_entitled": False}}}


def put_profile(directory: Path, distribution: str, profile: str, document: Any) -> Path:
    path = directory / distribution / "oscap" / profile / "customizations.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(scope="module")
def platform_service(
    module_database: Parameters,
    composer_process: Any,
    platform_process: StandInPlatform,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """A service with a distribution with profiles of operators."""
    directory = tmp_path_factory.mktemp("state") / "distributions"
    shutil.copytree(PROJECT / "distributions", directory, symlinks=True)
    put_profile(directory, "fedora-43", OWN, OWN_CUSTOMIZATIONS)
    put_profile(directory, "fedora-43", CIS, {"packages": ["aide"]})
    environment = {"DISTRIBUTIONS_DIR": str(directory)}
    with service_with(module_database, composer_process.url, platform_process, **environment) as running:
        yield running


@pytest.fixture
def client(platform_service: Service, composer: Any, platform: StandInPlatform, tenant: str) -> Client:
    return platform_service.client(tenant)


def profiles(client: Client, distribution: str) -> list[str]:
    answer = client.get(f"/oscap/{distribution}/profiles")
    assert answer.status_code == 200, answer.text
    found: list[str] = answer.json()
    return found


def policy_customizations(
    client: Client, policy: str = sample_data.POLICY_RHEL9, distribution: str = "rhel-9.6"
) -> Any:
    return client.get(f"/oscap/{policy}/{distribution}/policy_customizations")


@pytest.mark.parametrize(
    "distribution", ["rhel-8.10", "rhel-8", "rhel-9-beta", "rhel-9-nightly", "centos-9", "rhel-10"]
)
def test_the_profiles_of_a_distribution_are_listed_sorted(client: Client, distribution: str) -> None:
    found = profiles(client, distribution)
    assert CIS in found
    assert found == sorted(found)


def test_every_profile_that_is_listed_can_be_read_and_built(client: Client) -> None:
    for profile in profiles(client, "centos-9"):
        answer = client.get(f"/oscap/centos-9/{profile}/customizations")
        assert answer.status_code == 200, answer.text
        customizations = answer.json()
        assert customizations["openscap"]["profile_id"] == profile
        assert customizations["openscap"]["profile_name"]
        assert "Red Hat Enterprise Linux 9" in customizations["openscap"]["profile_description"]
        client.compose(compose_request(distribution="centos-9", customizations=customizations))


def test_a_profile_names_its_benchmark_product_and_level(client: Client) -> None:
    openscap = client.get(f"/oscap/rhel-9/{PREFIX}cis_server_l1/customizations").json()["openscap"]
    assert openscap["profile_name"] == "CIS Red Hat Enterprise Linux 9 Benchmark for Level 1 - Server"
    assert openscap["profile_description"].startswith("Red Hat Enterprise Linux 9 CIS Benchmark, level 1 for servers: ")


def test_an_alias_has_the_profiles_of_its_target(client: Client) -> None:
    alias, target = (client.get(f"/oscap/{name}/{CIS}/customizations") for name in ("rhel-9", "rhel-9.8"))
    assert alias.status_code == 200
    assert alias.content == target.content


def test_profiles_of_operators_are_answered_unchanged(client: Client) -> None:
    assert profiles(client, "fedora-43") == [OWN, CIS]
    assert client.get(f"/oscap/fedora-43/{OWN}/customizations").json() == OWN_CUSTOMIZATIONS


def test_empty_lists_of_a_profile_are_shown_and_can_be_built(client: Client, composer: StandInComposer) -> None:
    customizations = client.get(f"/oscap/centos-9/{PREFIX}anssi_bp28_minimal/customizations").json()
    assert customizations["services"] == {"enabled": []}
    compose_id = client.compose(compose_request(distribution="centos-9", customizations=customizations))
    metadata = requests.get(f"{composer.api_url}/composes/{compose_id}/metadata", timeout=PATIENCE).json()
    assert metadata["request"]["customizations"]["services"] == {}


@pytest.mark.parametrize(
    "path",
    [
        "/oscap/fedora-42/profiles",
        "/oscap/rhel-90/profiles",
        "/oscap/rhel-9.6-nightly/profiles",
        "/oscap/unheard-of/profiles",
        f"/oscap/fedora-42/{CIS}/customizations",
        f"/oscap/fedora-43/{CIS}/customizations",
        f"/oscap/rhel-9.6/{OWN}/customizations",
        "/oscap/rhel-9.6/unheard-of/customizations",
    ],
)
def test_unknown_distributions_and_profiles_are_refused_without_file_names(client: Client, path: str) -> None:
    detail = refusal(client.get(path), 400)
    assert "distributions/" not in detail
    assert ".json" not in detail


def test_profiles_are_shown_to_those_who_may_not_build_the_distribution(platform_service: Service) -> None:
    client = Client(platform_service.url, {"x-rh-identity": encoded(UNENTITLED)})
    refusal(client.get("/architectures/rhel-9.6"), 400)
    assert CIS in profiles(client, "rhel-9.6")
    assert client.get(f"/oscap/rhel-9.6/{CIS}/customizations").status_code == 200


# Policies


def test_a_policy_is_shown_as_customizations_without_openscap(client: Client) -> None:
    answer = policy_customizations(client)
    assert answer.status_code == 200, answer.text
    customizations = answer.json()
    assert customizations["packages"] == list(sample_data.POLICY_PACKAGES)
    assert "openscap" not in customizations


def test_a_policy_without_requirements_is_answered_as_empty(client: Client) -> None:
    assert policy_customizations(client, sample_data.POLICY_EMPTY).json() == {}


def test_a_missing_tailoring_of_a_minor_version_is_created(client: Client, platform: StandInPlatform) -> None:
    assert 1 not in sample_data.TAILORED[sample_data.POLICY_RHEL9]
    assert policy_customizations(client, distribution="rhel-91").json()["packages"] == list(sample_data.POLICY_PACKAGES)
    assert platform.counters()["compliance POST /policies/{id}/tailorings"] == 1


@pytest.mark.parametrize(
    ("policy", "distribution", "status"),
    [
        (sample_data.POLICY_RHEL9, "centos-9", 400),
        (sample_data.POLICY_RHEL9, "unheard-of", 400),
        ("no-uuid", "rhel-9.6", 400),
        (sample_data.POLICY_RHEL9, "rhel-9-nightly", 403),
        (sample_data.POLICY_RHEL10, "rhel-9.6", 404),
        ("11111111-2222-3333-4444-555555555555", "rhel-9.6", 404),
    ],
)
def test_a_policy_that_cannot_be_shown_is_refused(client: Client, policy: str, distribution: str, status: int) -> None:
    refusal(policy_customizations(client, policy, distribution), status)


def test_a_policy_needs_a_subscription_for_the_distribution(platform_service: Service) -> None:
    client = Client(platform_service.url, {"x-rh-identity": encoded(UNENTITLED)})
    assert refusal(policy_customizations(client), 400) == "distribution not available"


def test_a_refusal_of_compliance_is_passed_on(client: Client, platform: StandInPlatform) -> None:
    platform.steer(compliance={"raw": {"status": 403, "body": "{}"}})
    refusal(policy_customizations(client), 403)


def test_the_error_says_if_compliance_is_not_configured(service: Service) -> None:
    answer = policy_customizations(service.client())
    assert "compliance" in refusal(answer, 503)
    assert "Retry-After" not in answer.headers


def test_a_broken_profile_stops_the_start_naming_file_and_field(database: Parameters, tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "distributions" / "centos-9", tmp_path / "centos-9")
    path = put_profile(tmp_path, "centos-9", OWN, {"packages": ["aide", 7]})
    service = Service(database, "http://127.0.0.1:1", environment={"DISTRIBUTIONS_DIR": str(tmp_path)})
    status, output = service.refusal_to_start()
    assert status != 0
    assert "Traceback" not in output
    assert str(path) in output
    assert "packages[1]" in output
