"""What Clowder's file says is what the variables would."""

import json
import os

import pytest

from domain.errors import ConfigurationError
from image_builder.configuration.clowder import clowder_variables
from image_builder.configuration.settings import load_settings

FILE = {
    "webPort": 8000,
    "metricsPort": 9000,
    "metadata": {"name": "image-builder", "envName": "env-ephemeral-abc"},
    "database": {
        "hostname": "db.internal",
        "port": 15432,
        "name": "image-builder",
        "username": "u",
        "password": "p@/ss",
        "adminUsername": "a",
        "adminPassword": "b",
        "sslMode": "require",
    },
    "endpoints": [
        {"app": "provisioning-backend", "name": "api", "hostname": "prov", "port": 8001},
        {"app": "content-sources-backend", "name": "service", "hostname": "content", "port": 8002},
        {"app": "compliance", "name": "service", "hostname": "comp", "port": 8003},
        {"app": "content-sources-backend", "name": "other", "hostname": "not-this", "port": 1},
    ],
    "inMemoryDb": {"hostname": "memory.internal", "port": 6379, "password": "p@/ss"},
    "logging": {
        "type": "cloudwatch",
        "cloudwatch": {"region": "eu", "accessKeyId": "key", "secretAccessKey": "hidden", "logGroup": "group"},
    },
    "featureFlags": {"hostname": "flags", "port": 4242, "scheme": "https", "clientAccessToken": "secret-token"},
}
SAID = {
    "LISTEN_ADDRESS": "0.0.0.0:8000",
    "PGHOST": "db.internal",
    "PGPORT": "15432",
    "PGDATABASE": "image-builder",
    "PGUSER": "u",
    "PGPASSWORD": "p@/ss",
    "PGSSLMODE": "require",
    "PROVISIONING_URL": "http://prov:8001/api/provisioning/v1",
    "CONTENT_SOURCES_URL": "http://content:8002/api/content-sources/v1",
    "COMPLIANCE_URL": "http://comp:8003/api/compliance/v2",
    "RATE_LIMIT_STORAGE_URL": "redis://:p%40%2Fss@memory.internal:6379",
    "CW_AWS_REGION": "eu",
    "CW_AWS_ACCESS_KEY_ID": "key",
    "CW_AWS_SECRET_ACCESS_KEY": "hidden",
    "CW_LOG_GROUP": "group",
    "UNLEASH_URL": "https://flags:4242/api",
    "UNLEASH_TOKEN": "secret-token",
    "LOG_LEVEL": "DEBUG",
}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes Clowder's file and names it in the environment, which is otherwise empty."""
    for name in (*SAID, "ACG_CONFIG", "PGSSLROOTCERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    # What is read is written into the environment: as a copy, it is gone with the test.
    monkeypatch.setattr(os, "environ", os.environ.copy())

    def write(**changes):
        file = tmp_path / "cdappconfig.json"
        file.write_text(json.dumps({key: value for key, value in {**FILE, **changes}.items() if value is not None}))
        return str(file)

    return write


def test_all_that_the_file_says_has_a_variable(written):
    assert clowder_variables(written()) == SAID


@pytest.mark.parametrize(
    ("missing", "variables"),
    [
        ("webPort", ["LISTEN_ADDRESS"]),
        ("database", [name for name in SAID if name.startswith("PG")]),
        ("endpoints", ["PROVISIONING_URL", "CONTENT_SOURCES_URL", "COMPLIANCE_URL"]),
        ("inMemoryDb", ["RATE_LIMIT_STORAGE_URL"]),
        ("logging", [name for name in SAID if name.startswith("CW_")]),
        ("featureFlags", ["UNLEASH_URL", "UNLEASH_TOKEN"]),
        ("metadata", ["LOG_LEVEL"]),
    ],
)
def test_what_it_does_not_say_is_left_to_the_variables(written, missing, variables):
    assert clowder_variables(written(**{missing: None})) == {
        name: value for name, value in SAID.items() if name not in variables
    }


def test_only_an_ephemeral_environment_is_talkative(written):
    assert "LOG_LEVEL" not in clowder_variables(written(metadata={"envName": "env-stage"}))


@pytest.mark.parametrize("said", [{"type": "null"}, {"type": "cloudwatch", "cloudwatch": None}])
def test_a_log_that_goes_nowhere_else_sets_nothing(written, said):
    assert [name for name in clowder_variables(written(logging=said)) if name.startswith("CW_")] == []


def test_the_platforms_log_sink_is_named_as_not_served(written, monkeypatch):
    assert settings(monkeypatch, written()).ignored_variables == tuple(name for name in SAID if name.startswith("CW_"))


def test_the_databases_ca_is_trusted(written):
    variables = clowder_variables(written(database={**FILE["database"], "rdsCa": "-----BEGIN CERTIFICATE-----"}))
    with open(variables["PGSSLROOTCERT"]) as file:  # noqa: PTH123
        assert file.read() == "-----BEGIN CERTIFICATE-----"
    os.remove(variables["PGSSLROOTCERT"])  # noqa: PTH107


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ({}, "redis://m:1"),
        ({"sslMode": "disable"}, "redis://m:1"),
        ({"sslMode": "require", "username": "u/", "password": "p:"}, "rediss://u%2F:p%3A@m:1"),
    ],
)
def test_the_store_of_rate_limits_is_the_platforms_memory(written, said, url):
    variables = clowder_variables(written(inMemoryDb={"hostname": "m", "port": 1, **said}))
    assert variables["RATE_LIMIT_STORAGE_URL"] == url


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "null", '{"database": 5}'])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    file = tmp_path / "broken.json"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=r"broken\.json cannot be read"):
        clowder_variables(str(file))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.json cannot be read"):
        clowder_variables(str(tmp_path / "nowhere.json"))


def settings(monkeypatch, file, **variables):
    os.environ.update(
        {"ACG_CONFIG": file, "COMPOSER_URL": "http://c:1", "CONTENT_SOURCES_REPO_URL": "http://r", **variables}
    )
    return load_settings()


def test_the_file_wins_over_the_variables(written, monkeypatch):
    found = settings(monkeypatch, written(), PGHOST="elsewhere", PGPORT="1", COMPLIANCE_URL="http://elsewhere")
    assert (found.database.host, found.database.port) == ("db.internal", 15432)
    assert found.database.password == "p@/ss"
    assert found.customers.compliance_url == SAID["COMPLIANCE_URL"]
    assert (found.serving.host, found.serving.port, found.telemetry.log_level) == ("0.0.0.0", 8000, "DEBUG")
    assert (found.feature_flags.url, found.feature_flags.token) == ("https://flags:4242/api", "secret-token")


def test_an_explicit_address_stays(written, monkeypatch):
    found = settings(monkeypatch, written(), LISTEN_ADDRESS="127.0.0.1:9999")
    assert (found.serving.host, found.serving.port) == ("127.0.0.1", 9999)
