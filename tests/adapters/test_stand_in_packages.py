"""The stand-in composer resolves packages, says what image types support, and can do both slowly or wrongly."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.support.stand_in import Client, Json, a_request
from tests.support.waiting import PATIENCE

DEPSOLVE = "POST /depsolve/blueprint"


def resolve(call: Client, *packages: str, timeout: float = PATIENCE, **fields: Any) -> Any:
    blueprint = {"name": "check", "packages": [{"name": name} for name in packages]}
    body = {"blueprint": blueprint, "distribution": "centos-9", "architecture": "aarch64", **fields}
    return call("POST", "/depsolve/blueprint", json=body, timeout=timeout)


def test_packages_are_resolved_to_those_of_the_image(call: Client) -> None:
    answer = resolve(call, "nginx", "@core")
    assert answer.status_code == 200
    versions = {package["name"]: package for package in answer.json()["packages"]}
    assert versions.keys() > {"nginx", "bash", "kernel"}
    assert (versions["nginx"]["release"], versions["nginx"]["arch"]) == ("1.el9", "aarch64")


def test_packages_that_are_not_in_its_list_are_named_in_the_error(call: Client) -> None:
    answer = resolve(call, "nginx", "ngnix", "htppd")
    assert answer.status_code == 400
    assert answer.json()["reason"] == "Failed to depsolve packages"
    assert answer.json()["details"].endswith("missing packages: htppd, ngnix")


@pytest.mark.parametrize(
    ("package", "text"),
    [
        ("build-error-20", "nothing provides libfoo.so.1 needed by foo-1.0-1.el9.x86_64"),
        ("build-error-25", "Failed to download metadata for repo 'os'"),
    ],
)
def test_a_package_can_stand_for_an_error_of_the_package_manager(call: Client, package: str, text: str) -> None:
    answer = resolve(call, "nginx", package)
    assert answer.status_code == 400
    assert text in answer.json()["details"]


@pytest.mark.parametrize(
    ("fields", "error_id"),
    [({"distribution": "plan-9"}, "4"), ({"blueprint": {}}, "30"), ({"architecture": None}, "30"), ({"more": 1}, "30")],
)
def test_a_wrong_resolution_request_is_refused(call: Client, fields: Json, error_id: str) -> None:
    answer = resolve(call, **fields)
    assert (answer.status_code, answer.json()["id"]) == (400, error_id)


def options(call: Client, image_type: str) -> list[str]:
    query = [("architecture", "x86_64"), ("image_type", image_type)]
    architectures = call("GET", "/distributions/centos-9", params=query).json()["architectures"]
    (found,) = architectures["x86_64"]["image_types"].values()
    supported: list[str] = found["supported_blueprint_options"]
    return supported


@pytest.mark.parametrize(
    ("image_type", "unsupported"),
    [
        ("network-installer", {"packages", "customizations.hostname", "customizations.user", "customizations.disk"}),
        ("edge-installer", {"packages", "customizations.services", "customizations.filesystem"}),
        ("edge-commit", {"customizations.filesystem", "customizations.disk"}),
        ("wsl", {"customizations.filesystem", "customizations.disk"}),
        ("guest-image", {"customizations.fdo", "customizations.ignition"}),
    ],
)
def test_each_image_type_says_which_options_it_supports(call: Client, image_type: str, unsupported: set[str]) -> None:
    supported = set(options(call, image_type))
    assert supported.isdisjoint(unsupported)
    assert "customizations.locale" in supported


def test_a_build_is_refused_for_a_customization_that_its_installer_does_not_support(call: Client) -> None:
    answer = call.post(a_request("network-installer", customizations={"hostname": "a.example"}))
    assert answer.status_code == 400
    assert "customizations.hostname: not supported" in answer.json()["details"]


def test_only_the_resolution_can_be_slow(call: Client) -> None:
    call.composer.steer(depsolve_latency=60)
    with pytest.raises(requests.Timeout):
        resolve(call, "nginx", timeout=0.2)
    assert options(call, "guest-image")
    call.composer.steer(depsolve_latency=None)
    assert resolve(call, "nginx").status_code == 200


@pytest.mark.parametrize(("status", "body"), [(404, "no such operation"), (501, ""), (200, "{"), (500, "error")])
def test_only_the_resolution_can_be_broken(call: Client, status: int, body: str) -> None:
    call.composer.steer(raw={DEPSOLVE: {"status": status, "body": body}})
    answer = resolve(call, "nginx")
    assert (answer.status_code, answer.text) == (status, body)
    assert options(call, "guest-image")


def test_supported_options_can_be_unavailable_while_packages_are_resolved(call: Client) -> None:
    call.composer.steer(raw={"GET /distributions/{distribution}": {"status": 503}})
    assert call("GET", "/distributions/centos-9").status_code == 503
    assert resolve(call, "nginx").status_code == 200
