"""compose.yaml: a whole set-up on one host, and nobody in it who may do more than has to be."""

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


def test_the_set_up_is_whole():
    assert SERVICES.keys() == {
        *("image-builder", "migrate", "privileges", "maintenance", "composer", "platform"),
        *("postgres", "valkey", "prometheus", "grafana"),
    }


@EACH
def test_images_are_of_one_minor_version_or_digest(name: str):
    image = SERVICES[name]["image"]
    assert image == OURS or re.fullmatch(r"[a-z/]+(:v?\d+(\.\d+)+|@sha256:[0-9a-f]{64})", image)


@EACH
def test_what_is_mounted_is_there_cannot_be_written_and_is_labelled_for_selinux(name: str):
    files = [mount for mount in mounts(name) if mount[0].startswith(".")]
    missing = [source for source, *_ in files if not (PROJECT / source).exists()]
    assert (missing, {tuple(mode) for _, _, *mode in files} - {("ro,z",)}) == ([], set())


@EACH
def test_volumes_and_networks_are_declared(name: str):
    volumes = {source for source, *_ in mounts(name) if not source.startswith(".")}
    assert volumes <= FILE["volumes"].keys()
    assert set(SERVICES[name]["networks"]) <= FILE["networks"].keys()


@EACH
def test_whoever_is_waited_for_can_become_what_is_waited_for(name: str):
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        if wanted["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert (wanted["condition"], SERVICES[other]["restart"]) == ("service_completed_successfully", "no")


@EACH
def test_nobody_writes_outside_volumes_or_has_privileges(name: str):
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (
        True,
        ["ALL"],
        ["no-new-privileges:true"],
    )


@EACH
def test_everybody_has_limits(name: str):
    assert SERVICES[name]["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}


@EACH
def test_whoever_runs_on_is_watched(name: str):
    assert (SERVICES[name]["restart"] == "no") is not ("healthcheck" in SERVICES[name])


@EACH
def test_ports_are_open_to_this_host_only(name: str):
    assert [port for port in SERVICES[name].get("ports", ()) if not port.startswith("127.0.0.1:")] == []


def test_every_port_can_be_chosen():
    environment = {"PORT": "1001", "PROMETHEUS_PORT": "1002", "GRAFANA_PORT": "1003"}
    services = compose_file(**environment)["services"]
    published = [port.split(":")[1] for service in services.values() for port in service.get("ports", ())]
    assert sorted(published) == sorted(environment.values())


def test_database_counters_and_stand_ins_are_out_of_reach():
    outside = {name for name, service in SERVICES.items() if "outside" in service["networks"]}
    assert (outside, FILE["networks"]["inside"]) == ({"image-builder", "prometheus", "grafana"}, {"internal": True})


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if service["image"] == OURS])
def test_every_variable_is_one_that_is_read(name: str):
    assert SERVICES[name].get("environment", {}).keys() - variables_read() == set()


@pytest.mark.parametrize(("name", "role"), [("image-builder", APP), ("migrate", OWNER), ("maintenance", MAINTENANCE)])
def test_each_has_its_role_in_the_database(name: str, role: str):
    assert SERVICES[name]["environment"]["PGUSER"] == role


def test_the_service_takes_its_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Any):
    environment = SERVICES["image-builder"]["environment"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", dict(environment))
    settings = load_settings()
    assert (settings.composer.url, settings.serving.port) == ("http://composer:8080", 8000)


def test_prometheus_reads_the_services_metrics():
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
