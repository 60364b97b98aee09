"""POST /experimental/blueprints/{id}/fixup: adding the requirements of the policy to a blueprint."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.embedded.platform import sample_data
from adapters.embedded.platform.process import StandInPlatform
from tests.support.blueprints import (
    blueprint,
    bodies,
    insert_blueprint,
    kept,
    listed,
    read,
    stored_blueprint,
    stored_versions,
)
from tests.support.databases import Parameters
from tests.support.refusals import refusal
from tests.support.service import Client, Service

NO_POLICY = "00000000-0000-0000-0000-000000000000"
BOOTC = {"reference": "registry.example.com/image:latest"}


@pytest.fixture
def client(platform_service: Service, composer: StandInComposer, platform: StandInPlatform, tenant: str) -> Client:
    return platform_service.client(tenant)


def following(policy_id: str = sample_data.POLICY_RHEL9, **customizations: Any) -> dict[str, Any]:
    """A blueprint with a policy."""
    return blueprint(
        "web", distribution="rhel-9.6", customizations={"openscap": {"policy_id": policy_id}, **customizations}
    )


def fix(client: Client, blueprint_id: str) -> dict[str, Any]:
    """Fix up a blueprint, which must succeed, and return its customizations."""
    answer = client.post(f"/experimental/blueprints/{blueprint_id}/fixup")
    assert (answer.status_code, answer.content) == (200, b""), answer.text
    customizations: dict[str, Any] = read(client, blueprint_id)["customizations"]
    return customizations


def version(client: Client) -> int:
    (item,) = listed(client)["data"]
    number: int = item["version"]
    return number


def test_fixup_creates_a_new_version_without_lint_errors(client: Client) -> None:
    blueprint_id = kept(client, following())
    before = read(client, blueprint_id)
    fix(client, blueprint_id)
    assert read(client, blueprint_id)["lint"] == {"errors": [], "warnings": []}
    assert version(client) == 2
    assert read(client, blueprint_id, "?version=1")["customizations"] == before["customizations"]


def test_fixup_creates_a_new_version_even_without_lint_errors(client: Client) -> None:
    blueprint_id = kept(client, following())
    fixed = fix(client, blueprint_id)
    assert fix(client, blueprint_id) == fixed
    assert version(client) == 3


def test_fixup_keeps_existing_customizations(client: Client) -> None:
    given: dict[str, Any] = {
        "packages": ["nginx", "aide"],
        "filesystem": [{"mountpoint": "/home", "min_size": 5 * 2**30}, {"mountpoint": "/srv", "min_size": 0}],
        "services": {"enabled": ["nginx"], "disabled": ["rpcbind"]},
        "kernel": {"name": "kernel-debug", "append": "quiet audit=1"},
        "hostname": "h",
        "users": [{"name": "u", "hasPassword": False}],
    }
    fixed = fix(client, kept(client, following(**given)))
    assert fixed["packages"] == ["nginx", "aide", "sudo"]
    assert fixed["filesystem"][:2] == given["filesystem"]
    assert fixed["services"] == {
        "enabled": ["nginx", "crond", "firewalld"],
        "disabled": ["rpcbind", "nfs-server"],
        "masked": ["autofs"],
    }
    assert fixed["kernel"] == {"name": "kernel-debug", "append": "quiet audit=1 audit_backlog_limit=8192"}
    assert (fixed["hostname"], fixed["users"]) == ("h", given["users"])


def test_kernel_arguments_have_no_leading_blank_even_if_an_older_row_has_one(
    client: Client, module_database: Parameters, tenant: str
) -> None:
    old = following(kernel={"append": " audit=1"})
    blueprint_id = insert_blueprint(module_database, tenant, "old", old)
    assert fix(client, str(blueprint_id))["kernel"]["append"] == "audit=1 audit_backlog_limit=8192"


def test_fixup_changes_only_the_customizations(client: Client, module_database: Parameters) -> None:
    metadata = {"parent_id": None, "exported_at": "2025-01-01", "is_on_prem": True}
    document = {**following(), "description": "of mine", "metadata": metadata, "bootc": BOOTC}
    document["customizations"]["users"] = [{"name": "u", "password": "$6$salt$hash", "ssh_key": "k"}]
    blueprint_id = kept(client, document)
    before = stored_blueprint(module_database, blueprint_id)
    fix(client, blueprint_id)
    assert stored_blueprint(module_database, blueprint_id) == before
    first, second = bodies(module_database, blueprint_id)
    assert {**second, "customizations": None} == {**first, "customizations": None}
    assert second["bootc"] == BOOTC
    assert second["customizations"]["users"] == first["customizations"]["users"]


def test_fixup_stores_the_requirements_of_the_policy_with_the_new_version(
    client: Client, module_database: Parameters
) -> None:
    blueprint_id = kept(client, following())
    fix(client, blueprint_id)
    first, second = (snapshots for _, _, snapshots in stored_versions(module_database, blueprint_id))
    assert first == second
    assert second["compliance"]["policy_id"] == sample_data.POLICY_RHEL9


def test_fixup_creates_a_missing_tailoring(client: Client, platform: StandInPlatform) -> None:
    blueprint_id = kept(client, following())
    platform.steer(policies=[{"id": sample_data.POLICY_RHEL9, "minors": [2]}])
    assert "aide" in fix(client, blueprint_id)["packages"]
    assert platform.counters()["compliance POST /policies/{id}/tailorings"] == 1


@pytest.mark.parametrize("openscap", [None, {"profile_id": "p"}, {"profile_id": "p", "policy_id": NO_POLICY}])
def test_fixup_without_a_policy_creates_a_new_version(
    client: Client, module_database: Parameters, tenant: str, openscap: dict[str, str] | None
) -> None:
    old = blueprint(distribution="rhel-9.6", customizations={"openscap": openscap, "packages": ["nginx"]})
    blueprint_id = insert_blueprint(module_database, tenant, "old", old)
    fixed = fix(client, str(blueprint_id))
    assert fixed["packages"] == ["nginx"]
    assert fixed.get("openscap") == (openscap and {"profile_id": "p"})
    assert version(client) == 2


def test_fixup_ignores_a_body(client: Client) -> None:
    blueprint_id = kept(client, following())
    assert client.post(f"/experimental/blueprints/{blueprint_id}/fixup", {}).status_code == 200


def is_not_fixed(client: Client, blueprint_id: str, status: int) -> str:
    """The detail of the error of a fixup that must leave the blueprint unchanged."""
    answer = client.post(f"/experimental/blueprints/{blueprint_id}/fixup")
    detail = refusal(answer, status)
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert version(client) == 1
    return detail


@pytest.mark.parametrize(
    "policy", [{}, {"openscap": {"policy_id": sample_data.POLICY_RHEL9}}], ids=["no policy", "a policy"]
)
def test_fixup_of_a_blueprint_without_a_distribution_is_refused(client: Client, policy: dict[str, Any]) -> None:
    blueprint_id = kept(client, blueprint(distribution=None, bootc=BOOTC, customizations=policy))
    assert "distribution" in is_not_fixed(client, blueprint_id, 400)


def test_fixup_is_404_if_the_created_tailoring_is_missing(client: Client, platform: StandInPlatform) -> None:
    blueprint_id = kept(client, following())
    file = "GET /policies/{id}/tailorings/{minor}/tailoring_file.toml"
    platform.steer(compliance={"raw": {"status": 404, "body": "{}"}, "only": [file]})
    is_not_fixed(client, blueprint_id, 404)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"raw": {"status": 403, "body": "{}"}}, 403),
        ({"raw": {"status": 401, "body": "{}"}}, 403),
        ({"drop": "before"}, 503),
        ({"raw": {"status": 500}}, 503),
        ({"raw": {"status": 200, "body": "["}}, 503),
    ],
)
def test_fixup_changes_nothing_if_compliance_gives_no_usable_answer(
    unspoiled: Service, platform: StandInPlatform, tenant: str, fault: dict[str, Any], status: int
) -> None:
    client = unspoiled.client(tenant)
    blueprint_id = kept(client, following())
    platform.steer(compliance=fault)
    assert "ompliance" in is_not_fixed(client, blueprint_id, status)


def test_the_error_names_a_policy_that_no_longer_exists(
    client: Client, module_database: Parameters, tenant: str
) -> None:
    gone = "7709b691-15a9-4dae-ae96-d6584b9f389f"
    blueprint_id = insert_blueprint(module_database, tenant, "old", following(gone))
    assert gone in is_not_fixed(client, str(blueprint_id), 400)
