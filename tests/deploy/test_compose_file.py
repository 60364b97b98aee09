"""compose.yaml describes a complete installation on one host whose containers have the least privileges."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
import yaml

from image_builder.configuration.settings import load_settings
from tests.support.compose_file import compose_file
from tests.support.openshift import PROJECT
from tests.support.roles import APP, MAINTENANCE, OWNER
from tests.support.variables import variables_read

OURS = "image-builder:local"
FILE = compose_file()
SERVICES: dict[str, Any] = FILE["services"]
EACH = pytest.mark.parametrize("name", SERVICES)


def mounts(name: str) -> list[list[str]]:
    return [mount.split(":") for mount in SERVICES[name].get("volumes", ())]


def test_the_installation_is_complete():
    assert SERVICES.keys() == {
        *("image-builder", "migrate", "privileges", "maintenance", "composer", "platform"),
        *("postgres", "valkey", "prometheus", "grafana"),
    }


@EACH
def test_images_are_pinned_to_a_minor_version_or_digest(name: str):
    image = SERVICES[name]["image"]
    assert image == OURS or re.fullmatch(r"[a-z/]+(:v?\d+(\.\d+)+|@sha256:[0-9a-f]{64})", image)


@EACH
def test_mounted_files_exist_are_read_only_and_are_labelled_for_selinux(name: str):
    files = [mount for mount in mounts(name) if mount[0].startswith(".")]
    missing = [source for source, *_ in files if not (PROJECT / source).exists()]
    assert (missing, {tuple(mode) for _, _, *mode in files} - {("ro,z",)}) == ([], set())


@EACH
def test_volumes_and_networks_are_declared(name: str):
    volumes = {source for source, *_ in mounts(name) if not source.startswith(".")}
    assert volumes <= FILE["volumes"].keys()
    assert set(SERVICES[name]["networks"]) <= FILE["networks"].keys()


@EACH
def test_a_container_that_others_wait_for_can_reach_the_awaited_condition(name: str):
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        if wanted["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert (wanted["condition"], SERVICES[other]["restart"]) == ("service_completed_successfully", "no")


@EACH
def test_containers_write_only_to_volumes_and_have_no_privileges(name: str):
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (
        True,
        ["ALL"],
        ["no-new-privileges:true"],
    )


@EACH
def test_every_container_has_limits(name: str):
    assert SERVICES[name]["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}


@EACH
def test_every_long_running_container_has_a_health_check(name: str):
    assert (SERVICES[name]["restart"] == "no") is not ("healthcheck" in SERVICES[name])


@EACH
def test_ports_are_published_on_the_loopback_address_only(name: str):
    assert [port for port in SERVICES[name].get("ports", ()) if not port.startswith("127.0.0.1:")] == []


def test_every_published_port_can_be_set_by_a_variable():
    environment = {"PORT": "1001", "PROMETHEUS_PORT": "1002", "GRAFANA_PORT": "1003"}
    services = compose_file(**environment)["services"]
    published = [port.split(":")[1] for service in services.values() for port in service.get("ports", ())]
    assert sorted(published) == sorted(environment.values())


def test_database_rate_limit_store_and_stand_ins_publish_no_ports():
    outside = {name for name, service in SERVICES.items() if "outside" in service["networks"]}
    assert (outside, FILE["networks"]["inside"]) == ({"image-builder", "prometheus", "grafana"}, {"internal": True})


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if service["image"] == OURS])
def test_every_environment_variable_is_a_setting_of_the_service(name: str):
    assert SERVICES[name].get("environment", {}).keys() - variables_read() == set()


@pytest.mark.parametrize(("name", "role"), [("image-builder", APP), ("migrate", OWNER), ("maintenance", MAINTENANCE)])
def test_each_container_uses_its_own_database_role(name: str, role: str):
    assert SERVICES[name]["environment"]["PGUSER"] == role


def test_the_service_accepts_its_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Any):
    environment = SERVICES["image-builder"]["environment"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", dict(environment))
    settings = load_settings()
    assert (settings.composer.url, settings.serving.port) == ("http://composer:8080", 8000)


def test_prometheus_scrapes_the_metrics_of_the_service():
    config = yaml.safe_load((PROJECT / "deploy/compose/prometheus.yml").read_text(encoding="utf-8"))
    (job,) = config["scrape_configs"]
    port = SERVICES["image-builder"]["environment"]["LISTEN_ADDRESS"].partition(":")[2]
    assert (job["metrics_path"], job["static_configs"]) == ("/metrics", [{"targets": [f"image-builder:{port}"]}])


def test_prometheus_finds_rules_and_grafana_dashboards_where_they_are_mounted():
    prometheus = yaml.safe_load((PROJECT / "deploy/compose/prometheus.yml").read_text(encoding="utf-8"))
    grafana = yaml.safe_load((PROJECT / "deploy/compose/grafana/dashboards.yaml").read_text(encoding="utf-8"))
    folders = {source: target for name in ("prometheus", "grafana") for source, target, *_ in mounts(name)}
    (rules,) = prometheus["rule_files"]
    (provider,) = grafana["providers"]
    assert rules.startswith(f"{folders['./deploy/prometheus']}/")
    assert provider["options"]["path"] == folders["./deploy/grafana"]


def test_every_role_gets_a_password():
    script = (PROJECT / "deploy/postgres/passwords.sh").read_text(encoding="utf-8")
    assert set(re.findall(r"ALTER ROLE (\w+) PASSWORD", script)) == {OWNER, APP, MAINTENANCE}
