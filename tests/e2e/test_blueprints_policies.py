"""Blueprints with a compliance policy: the calls when they are saved, and the lint results when they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform import sample_data
from adapters.embedded.platform.process import StandInPlatform
from tests.support.blueprints import (
    UNKNOWN,
    blueprint,
    changed,
    descriptions,
    insert_blueprint,
    kept,
    listed,
    put,
    read,
    stored_versions,
)
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.rounds import sampled
from tests.support.service import Client, Service

NO_POLICY = "00000000-0000-0000-0000-000000000000"
NOTHING_TO_SAY: dict[str, list[Any]] = {"errors": [], "warnings": []}
SERVICES = {"enabled": ["crond", "firewalld"], "masked": ["autofs"], "disabled": ["nfs-server", "rpcbind"]}
HOME, TMP = "/home", "/tmp"  # noqa: S108 - mountpoints of the image
ASKED_FOR = {
    "packages": ["aide", "sudo"],
    "filesystem": [{"mountpoint": HOME, "min_size": 2**30}, {"mountpoint": TMP, "min_size": 2**30}],
    "services": SERVICES,
    "kernel": {"append": "audit=1 audit_backlog_limit=8192"},
    "fips": {"enabled": True},
}
ERRORS = [
    "package aide required by policy is not present",
    "package sudo required by policy is not present",
    "mountpoint /home required by policy is not present",
    "mountpoint /tmp required by policy is not present",
    "service crond required as enabled by policy is not present",
    "service firewalld required as enabled by policy is not present",
    "service autofs required as masked by policy is not present",
    "service nfs-server required as disabled by policy is not present",
    "service rpcbind required as disabled by policy is not present",
    "kernel command line parameter 'audit=1' required by policy not set",
    "kernel command line parameter 'audit_backlog_limit=8192' required by policy not set",
    "FIPS required 'true' by policy but not set",
]
WARNINGS = [
    "package aide is no longer required by policy",
    "package sudo is no longer required by policy",
    "mountpoint /home is no longer required by policy",
    "mountpoint /tmp is no longer required by policy",
    "service crond is no longer required as enabled by policy",
    "service firewalld is no longer required as enabled by policy",
    "service autofs is no longer required as masked by policy",
    "service nfs-server is no longer required as disabled by policy",
    "service rpcbind is no longer required as disabled by policy",
    "kernel command line parameter 'audit=1' is no longer required by policy",
    "kernel command line parameter 'audit_backlog_limit=8192' is no longer required by policy",
    "FIPS is no longer required by policy",
]


@pytest.fixture
def client(platform_service: Service, composer: StandInComposer, platform: StandInPlatform, tenant: str) -> Client:
    return platform_service.client(tenant)


def following(
    policy_id: str = sample_data.POLICY_RHEL9, distribution: str | None = "rhel-9.6", **more: Any
) -> dict[str, Any]:
    """A blueprint with a policy."""
    return blueprint("web", distribution=distribution, customizations={"openscap": {"policy_id": policy_id}, **more})


def lint(client: Client, blueprint_id: str, query: str = "") -> tuple[list[str], list[str]]:
    """The lint errors and warnings of a blueprint."""
    said = read(client, blueprint_id, query)["lint"]
    return descriptions(said["errors"]), descriptions(said["warnings"])


def asked(platform: StandInPlatform) -> list[str]:
    """The requests to compliance."""
    return [operation for operation in platform.counters() if operation.startswith("compliance")]


# Reading


def test_each_missing_requirement_of_the_policy_is_a_lint_error(client: Client) -> None:
    assert lint(client, kept(client, following())) == (ERRORS, [])


def test_a_blueprint_with_all_requirements_has_no_lint_errors(client: Client) -> None:
    assert lint(client, kept(client, following(**ASKED_FOR))) == ([], [])


@pytest.mark.parametrize(
    ("customizations", "error"),
    [
        ({"kernel": {"append": "audit=10 audit_backlog_limit=8192"}}, ERRORS[9]),
        ({"packages": ["aide-common", "sudo"]}, ERRORS[0]),
        ({"services": {**SERVICES, "masked": ["autofs.mount"]}}, ERRORS[6]),
        ({"fips": {"enabled": False}}, ERRORS[11]),
        ({"filesystem": [{"mountpoint": HOME, "min_size": 0}, {"mountpoint": TMP + "x", "min_size": 0}]}, ERRORS[3]),
    ],
)
def test_nearly_equal_customizations_do_not_meet_a_requirement(
    client: Client, customizations: dict[str, Any], error: str
) -> None:
    assert lint(client, kept(client, following(**{**ASKED_FOR, **customizations}))) == ([error], [])


def test_a_customization_that_the_policy_no_longer_requires_is_a_warning(
    client: Client, platform: StandInPlatform
) -> None:
    blueprint_id = kept(client, following(**ASKED_FOR))
    platform.steer(policies=[{"id": sample_data.POLICY_RHEL9, "toml": None}])
    assert lint(client, blueprint_id) == ([], WARNINGS)


def test_a_warning_is_about_the_version_that_is_read(client: Client, platform: StandInPlatform) -> None:
    blueprint_id = kept(client, following())
    platform.steer(policies=[{"id": sample_data.POLICY_RHEL9, "toml": '[[packages]]\nname = "aide"\n'}])
    changed(client, blueprint_id, following())
    assert lint(client, blueprint_id) == (ERRORS[:1], [])
    assert lint(client, blueprint_id, "?version=1") == (ERRORS[:1], WARNINGS[1:])


def test_a_required_kernel_name_is_checked(client: Client, platform: StandInPlatform) -> None:
    platform.steer(policies=[{"id": sample_data.POLICY_RHEL9, "toml": '[customizations.kernel]\nname = "kernel-rt"\n'}])
    blueprint_id = kept(client, following(kernel={"name": "kernel", "append": "quiet"}))
    assert lint(client, blueprint_id) == (["kernel name kernel-rt required by policy not set"], [])
    platform.steer(policies=[{"id": sample_data.POLICY_RHEL9, "toml": None}])
    assert lint(client, blueprint_id) == ([], ["kernel name kernel-rt is no longer required by policy"])


@pytest.mark.parametrize(
    "document",
    [
        blueprint("web", distribution="rhel-9.6"),
        following(distribution=None),
        blueprint(
            "web", distribution="rhel-9.6", customizations={"openscap": {"profile_id": sample_data.PROFILE_RHEL9}}
        ),
        following(sample_data.POLICY_EMPTY),
    ],
    ids=["no policy", "no distribution", "a profile", "a policy that asks for nothing"],
)
def test_a_policy_without_requirements_gives_no_lint_results(client: Client, document: dict[str, Any]) -> None:
    assert read(client, kept(client, document))["lint"] == NOTHING_TO_SAY


def test_without_a_policy_or_a_distribution_compliance_is_not_called(
    client: Client, platform: StandInPlatform, module_database: Parameters, tenant: str
) -> None:
    for document in (following(distribution=None), {**blueprint(distribution="rhel-9.6"), "name": "none"}):
        read(client, kept(client, document))
    old = {"openscap": {"profile_id": sample_data.PROFILE_RHEL9, "policy_id": NO_POLICY}}
    old_id = insert_blueprint(module_database, tenant, "old", blueprint(distribution="rhel-9.6", customizations=old))
    assert read(client, str(old_id))["lint"] == NOTHING_TO_SAY
    assert asked(platform) == []


def test_linting_reports_a_missing_tailoring_as_one_error_and_does_not_create_it(
    client: Client, platform: StandInPlatform
) -> None:
    blueprint_id = kept(client, following())
    platform.steer(policies=[{"id": sample_data.POLICY_RHEL9, "minors": [2]}])
    error = "Compliance policy does not have a definition for the latest minor version"
    assert lint(client, blueprint_id) == ([error], [])
    assert "compliance POST /policies/{id}/tailorings" not in asked(platform)


FAULTS: dict[str, dict[str, Any]] = {
    "hangs": {"hang": True},
    "hangs up": {"drop": "before"},
    "forbids": {"raw": {"status": 403, "body": "{}"}},
    "refuses": {"raw": {"status": 401, "body": "{}"}},
    "fails": {"raw": {"status": 500, "body": "<html>"}},
    "talks nonsense": {"raw": {"status": 200, "body": "<html>"}},
}


@pytest.mark.parametrize("fault", [pytest.param(each, id=name) for name, each in sampled(FAULTS.items(), 2)])
def test_a_blueprint_is_answered_while_compliance_is_unavailable(
    unspoiled: Service, platform: StandInPlatform, tenant: str, fault: dict[str, Any]
) -> None:
    client = unspoiled.client(tenant)
    blueprint_id = kept(client, following())
    platform.steer(compliance=fault)
    errors, (warning,) = lint(client, blueprint_id)
    assert errors == []
    assert "could not be checked" in warning
    assert not any(word in warning for word in ("http", "127.0.0.1", "html"))


@pytest.mark.parametrize(
    ("policy_id", "distribution"),
    [(UNKNOWN, "rhel-9.6"), (sample_data.POLICY_RHEL10, "rhel-9.6"), (sample_data.POLICY_RHEL9, "centos-9")],
    ids=["unknown", "other major", "not RHEL"],
)
def test_a_policy_that_does_not_apply_is_one_warning(
    client: Client, module_database: Parameters, tenant: str, policy_id: str, distribution: str
) -> None:
    blueprint_id = insert_blueprint(module_database, tenant, "old", following(policy_id, distribution))
    errors, (warning,) = lint(client, str(blueprint_id))
    assert errors == []
    assert "could not be checked" in warning


@pytest.mark.parametrize(
    "distribution", ["rhel-9-nightly", "rhel-7", "rhel-9.6"], ids=["restricted", "gone", "not entitled"]
)
def test_a_distribution_that_the_caller_may_no_longer_build_is_one_warning(
    platform_service: Service, platform: StandInPlatform, module_database: Parameters, tenant: str, distribution: str
) -> None:
    client = platform_service.client(tenant, entitled=distribution != "rhel-9.6")
    blueprint_id = insert_blueprint(module_database, tenant, "old", following(distribution=distribution))
    errors, (warning,) = lint(client, str(blueprint_id))
    assert errors == []
    assert "could not be checked" in warning


def test_without_configured_compliance_reading_gives_one_warning_and_saving_is_refused(
    service: Service, module_database: Parameters, tenant: str
) -> None:
    client = service.client(tenant)
    answer = client.post("/blueprints", following())
    assert "not set up" in refusal(answer, 503)
    assert "Retry-After" not in answer.headers
    blueprint_id = insert_blueprint(module_database, tenant, "old", following())
    errors, (warning,) = lint(client, str(blueprint_id))
    assert errors == []
    assert "could not be checked" in warning


# Saving


def test_the_requirements_of_the_policy_are_stored_with_the_version(
    client: Client, module_database: Parameters
) -> None:
    blueprint_id = kept(client, following())
    ((_, _, snapshots),) = stored_versions(module_database, blueprint_id)
    assert snapshots == {
        "compliance": {
            "policy_id": sample_data.POLICY_RHEL9,
            "policy_customizations": {**ASKED_FOR, "openscap": {"profile_id": sample_data.PROFILE_RHEL9}},
        }
    }


def test_each_version_has_the_requirements_of_its_time(client: Client, module_database: Parameters) -> None:
    blueprint_id = kept(client, following(sample_data.POLICY_EMPTY))
    changed(client, blueprint_id, following())
    changed(client, blueprint_id, blueprint("web"))
    found = [
        snapshots and snapshots["compliance"] for _, _, snapshots in stored_versions(module_database, blueprint_id)
    ]
    assert found[0] == {"policy_id": sample_data.POLICY_EMPTY, "policy_customizations": {}}
    assert found[1]["policy_id"] == sample_data.POLICY_RHEL9
    assert found[2] is None


def test_saving_creates_a_missing_tailoring_for_the_minor_version(client: Client, platform: StandInPlatform) -> None:
    blueprint_id = kept(client, following(distribution="rhel-91"))
    assert platform.counters()["compliance POST /policies/{id}/tailorings"] == 1
    assert lint(client, blueprint_id) == (ERRORS, [])


def is_not_saved(client: Client, document: dict[str, Any], status: int, check: Callable[[str], bool]) -> None:
    """Neither a creation nor a change may be saved."""
    before = blueprint("before")
    blueprint_id = kept(client, before)
    for answer in (client.post("/blueprints", document), put(client, blueprint_id, document)):
        assert check(refusal(answer, status))
        assert ("Retry-After" in answer.headers) == (status == 503)
    (item,) = listed(client)["data"]
    assert (item["name"], item["version"]) == ("before", 1)


@pytest.mark.parametrize(
    ("policy_id", "distribution", "named"),
    [
        (UNKNOWN, "rhel-9.6", UNKNOWN),
        (sample_data.POLICY_RHEL10, "rhel-9.6", sample_data.POLICY_RHEL10),
        (sample_data.POLICY_RHEL9, "centos-9", sample_data.POLICY_RHEL9),
        (sample_data.POLICY_RHEL9, "rhel-9-nightly", "rhel-9-nightly"),
    ],
    ids=["unknown", "other major", "not RHEL", "no access"],
)
def test_saving_with_a_policy_that_does_not_apply_is_refused_by_name(
    client: Client, policy_id: str, distribution: str, named: str
) -> None:
    is_not_saved(client, following(policy_id, distribution), 400, lambda detail: named in detail)


def test_saving_without_the_entitlement_is_refused(
    platform_service: Service, platform: StandInPlatform, tenant: str
) -> None:
    client = platform_service.client(tenant, entitled=False)
    is_not_saved(client, following(), 400, lambda detail: "rhel-9.6" in detail)


def test_saving_is_refused_if_the_created_tailoring_is_missing(client: Client, platform: StandInPlatform) -> None:
    file = "GET /policies/{id}/tailorings/{minor}/tailoring_file.toml"
    platform.steer(compliance={"raw": {"status": 404, "body": "{}"}, "only": [file]})
    is_not_saved(client, following(), 400, lambda detail: sample_data.POLICY_RHEL9 in detail)


@pytest.mark.parametrize("status", [401, 403])
def test_saving_is_refused_if_compliance_refuses_the_caller(
    client: Client, platform: StandInPlatform, status: int
) -> None:
    platform.steer(compliance={"raw": {"status": status, "body": "{}"}})
    is_not_saved(client, following(), 403, lambda detail: "ompliance" in detail)


@pytest.mark.parametrize("fault", ["hangs up", "fails", "talks nonsense"])
def test_saving_is_refused_while_compliance_is_unavailable(
    unspoiled: Service, platform: StandInPlatform, tenant: str, fault: str
) -> None:
    platform.steer(compliance=FAULTS[fault])
    is_not_saved(unspoiled.client(tenant), following(), 503, lambda detail: "ompliance" in detail)


def test_violated_rules_are_reported_before_compliance_is_called(client: Client, platform: StandInPlatform) -> None:
    assert client.post("/blueprints", {**following(), "name": " "}).status_code == 422
    assert asked(platform) == []
