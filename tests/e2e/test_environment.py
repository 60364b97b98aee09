"""The effect of environment variables on the start of the service."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.loopback import Loopback, answer
from tests.support.service import Service
from tests.support.tls import authority
from tests.support.waiting import PATIENCE

SINKS = {
    "SPLUNK_HEC_HOST": "value-splunk.example.com",
    "SPLUNK_HEC_PORT": "value-8088",
    "SPLUNK_HEC_TOKEN": "value-token",
    "CW_AWS_REGION": "value-region",
    "CW_AWS_ACCESS_KEY_ID": "value-id",
    "CW_AWS_SECRET_ACCESS_KEY": "value-key",
    "CW_LOG_GROUP": "value-group",
}


def log_of(
    database: Parameters, composer: StandInComposer, folder: Path, environment: dict[str, str], workers: int = 1
) -> str:
    """The log of a service that starts and ends."""
    log = folder / "log"
    with Service(database, composer.url, environment=environment, workers=workers, log=log):
        pass
    return log.read_text()


def warnings(log: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in lines if line["level"] == "warning" and "variables" in line]


@pytest.mark.parametrize("workers", [1, 2])
def test_unsupported_log_sinks_that_are_set_are_named_once(
    module_database: Parameters, composer: StandInComposer, tmp_path: Path, workers: int
) -> None:
    log = log_of(module_database, composer, tmp_path, SINKS, workers)
    (warning,) = warnings(log)
    assert warning["variables"] == list(SINKS)
    assert "value" not in log


def test_a_log_sink_without_a_value_is_not_named(
    module_database: Parameters, composer: StandInComposer, tmp_path: Path
) -> None:
    log = log_of(module_database, composer, tmp_path, {"CW_LOG_GROUP": "", "SPLUNK_HEC_HOST": "splunk"})
    (warning,) = warnings(log)
    assert warning["variables"] == ["SPLUNK_HEC_HOST"]


def test_there_is_no_warning_if_all_set_variables_are_supported(
    module_database: Parameters, composer: StandInComposer, tmp_path: Path
) -> None:
    assert warnings(log_of(module_database, composer, tmp_path, {})) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UNLEASH_URL", "no-url"),
        ("RECOMMENDATIONS_URL", "no-url"),
        ("RECOMMENDATIONS_TOKEN_URL", "no-url"),
        ("RECOMMENDATIONS_PROXY", "us:secret@proxy.example.com:3128"),
        ("RECOMMENDATIONS_CA_PATH", "/nowhere/ca.pem"),
        ("COMPOSER_CA_PATH", "/nowhere/ca.pem"),
        ("GLITCHTIP_DSN", "https://glitchtip.example.com/1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
    ],
)
def test_an_invalid_variable_is_named_and_the_service_does_not_start(
    module_database: Parameters, name: str, value: str
) -> None:
    status, output = Service(module_database, "http://127.0.0.1:1", environment={name: value}).refusal_to_start()
    assert status != 0
    assert name in output
    assert "Traceback" not in output
    assert value not in output


@pytest.mark.parametrize(("host", "answering"), [("", ["127.0.0.1", "[::1]"]), ("0.0.0.0", ["127.0.0.1"])])
@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
def test_an_address_without_a_host_listens_on_all_addresses(
    module_database: Parameters, composer: StandInComposer, host: str, answering: list[str]
) -> None:
    service = Service(module_database, composer.url)
    service.environment["LISTEN_ADDRESS"] = f"{host}:{service.port}"
    with service:
        assert [name for name in ("127.0.0.1", "[::1]") if answers(f"http://{name}:{service.port}")] == answering


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/status", timeout=PATIENCE).ok
    except requests.ConnectionError:
        return False


@pytest.mark.parametrize(("trusted", "status"), [("composer", 201), ("another", 503)])
def test_an_https_composer_is_trusted_only_with_its_configured_ca(
    module_database: Parameters, tmp_path: Path, trusted: str, status: int
) -> None:
    authorities = {name: authority(tmp_path, name) for name in ("composer", "another")}
    accepted = answer(201, {"id": str(uuid4())})
    with Loopback(accepted, tls=authorities["composer"].server) as composer:
        environment = {"COMPOSER_CA_PATH": authorities[trusted].file}
        with Service(module_database, composer.url, environment=environment) as service:
            started = service.client().post("/compose", compose_request())
    assert started.status_code == status, started.text
    assert len(composer.asked) == (1 if status == 201 else 0)
