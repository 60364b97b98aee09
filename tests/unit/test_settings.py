"""Each variable is declared once; reading, checking, `image-builder config` and the document follow."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from domain.errors import ConfigurationError
from image_builder.cli.config import config as command
from image_builder.cli.config import format_document
from image_builder.configuration.preflight import report_all_faults
from image_builder.configuration.settings import (
    ALL_VARIABLES,
    Settings,
    is_embedded_requested,
    load_database_settings,
    load_settings,
)
from image_builder.configuration.variables import secret_values, without_credentials
from image_builder.configuration.worker_count import choose_worker_count
from tests.support.service import PROJECT

COMPOSER = {"COMPOSER_URL": "http://composer.example.com"}
SECRET = "s3cr3t-of-this-test"

# What operators set today.
GIVEN = [
    "COMPOSER_URL",
    "COMPOSER_TOKEN_URL",
    "COMPOSER_CLIENT_ID",
    "COMPOSER_CLIENT_SECRET",
    "COMPOSER_CA_PATH",
    "CONTENT_SOURCES_URL",
    "CONTENT_SOURCES_REPO_URL",
    "CONTENT_SOURCES_REPO_PREFIX",
    "PROVISIONING_URL",
    "COMPLIANCE_URL",
    "RECOMMENDATIONS_URL",
    "RECOMMENDATIONS_TOKEN_URL",
    "RECOMMENDATIONS_CLIENT_ID",
    "RECOMMENDATIONS_CLIENT_SECRET",
    "RECOMMENDATIONS_PROXY",
    "RECOMMENDATIONS_CA_PATH",
    "UNLEASH_URL",
    "UNLEASH_TOKEN",
    "LISTEN_ADDRESS",
    "LOG_LEVEL",
    "PGHOST",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGSSLMODE",
    "QUOTA_FILE",
    "ALLOW_FILE",
    "DISTRIBUTIONS_DIR",
    "OSBUILD_AWS_REGION",
    "OSBUILD_GCP_REGION",
    "OSBUILD_GCP_BUCKET",
    "INSIGHTS_CLIENT_PROXY",
    "PATCH_URL",
    "GLITCHTIP_DSN",
    "FEDORA_AUTH",
    "SPLUNK_HEC_HOST",
    "SPLUNK_HEC_PORT",
    "SPLUNK_HEC_TOKEN",
    "CW_AWS_REGION",
    "CW_AWS_ACCESS_KEY_ID",
    "CW_AWS_SECRET_ACCESS_KEY",
    "CW_LOG_GROUP",
    "ACG_CONFIG",
]

Surrounded = Callable[..., None]


@pytest.fixture
def surrounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Surrounded:
    """Sets the process' environment and the lines of a local.env, each anew."""

    def surround(*lines: str, **variables: str) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(os, "environ", {"PATH": "/bin", **variables})
        (tmp_path / "local.env").write_text("\n".join(lines))

    return surround


def config(*arguments: str) -> Result:
    # Not by way of `main`: that sets up the log of the whole process, which is the tests' own.
    return CliRunner().invoke(command, [*arguments])


def row(result: Result, name: str) -> list[str]:
    """Value and origin of a variable as `config` prints them."""
    (line,) = [line for line in result.stdout.splitlines() if line.split()[0] == name]
    return line.split()[1:]


def test_every_variable_that_operators_set_today_is_read() -> None:
    assert set(GIVEN) <= set(ALL_VARIABLES)


def test_the_document_is_as_the_declarations_say() -> None:
    written = PROJECT / "docs" / "configuration.md"
    assert written.read_text() == format_document(), "write it anew: make docs"


def read_names(tree: ast.AST) -> set[str]:
    """Names of variables that a module takes from the process' environment or lets click take."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Attribute(attr="environ") | ast.Attribute(attr="values"), attr="get"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                names.add(name)
            case ast.Call(func=ast.Attribute(attr="getenv"), args=[ast.Constant(value=str(name)), *_]):
                names.add(name)
            case ast.Subscript(ast.Attribute(attr="environ"), ast.Constant(value=str(name)), ctx=ast.Load()):
                names.add(name)
            case ast.keyword(arg="envvar", value=ast.Constant(value=str(name))):
                names.add(name)
    return names


def test_no_variable_is_read_past_the_declarations() -> None:
    read = {
        (str(file.relative_to(PROJECT)), name)
        for package in ("domain", "ports", "adapters", "image_builder")
        for file in (PROJECT / package).rglob("*.py")
        for name in read_names(ast.parse(file.read_text()))
    }
    assert {(file, name) for file, name in read if name.isupper() and name not in ALL_VARIABLES} == set()


def test_all_that_is_wrong_is_said_at_once_and_by_name(surrounded: Surrounded, tmp_path: Path) -> None:
    (tmp_path / "quotas.json").write_text('{"default": {"quota": -1}}')
    wrong = {
        "ACG_CONFIG": "/nowhere/cdappconfig.json",
        "LISTEN_ADDRESS": "8086",
        "LOG_LEVEL": "LOUD",
        "PGPORT": "five",
        "DB_POOL_SIZE": "0",
        "COMPOSE_DEADLINE": "nan",
        "PROVISIONING_URL": "ftp://provisioning.example.com",
        "RECOMMENDATIONS_CA_PATH": "/nowhere/ca.pem",
        "DISTRIBUTIONS_DIR": "/nowhere",
        "QUOTA_FILE": str(tmp_path / "quotas.json"),
        "ALLOW_FILE": "/nowhere/allow.json",
    }
    surrounded(**wrong)
    with pytest.raises(ConfigurationError) as raised, report_all_faults():
        load_settings()
    unsaid = {name for name in [*wrong, "COMPOSER_URL"] if f"{name}" not in raised.value.detail}
    assert unsaid == set()


@pytest.mark.parametrize(
    "url",
    [
        "composer",
        "//composer",
        "http://",
        "http:composer",
        "http://composer:port",
        "http://composer:99999",
        "http://[::1",
        "http://composer/a b",
        "https://composer\n.example.com",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_url_is_refused(surrounded: Surrounded, url: str) -> None:
    surrounded(COMPOSER_URL=url)
    with pytest.raises(ConfigurationError, match="COMPOSER_URL: not a URL"):
        load_settings()


@pytest.mark.parametrize("name", ["CONTENT_SOURCES_REPO_URL", "PATCH_URL"])
def test_addresses_that_are_only_handed_on_are_looked_at_too(surrounded: Surrounded, name: str) -> None:
    surrounded(**COMPOSER, **{name: "http://[::1"})
    with pytest.raises(ConfigurationError, match=f"{name}: not a URL"):
        load_settings()


def test_a_text_that_looks_like_a_broken_address_is_taken_as_it_is(surrounded: Surrounded) -> None:
    surrounded(**COMPOSER, OSBUILD_GCP_BUCKET="gs://[bucket")
    assert load_settings().builds.upload.gcp_bucket == "gs://[bucket"


@pytest.mark.parametrize("url", ["http://composer", "https://u:p@[::1]:8080/a%20b?c=d", "HTTP://composer.svc:80"])
def test_what_is_a_url_is_taken_as_it_is(surrounded: Surrounded, url: str) -> None:
    surrounded(COMPOSER_URL=url)
    assert load_settings().composer.url == url


@pytest.mark.parametrize("number", ["1.5", "1_0", "ten", "0x10", "--5", "501", "-1"])
def test_what_is_no_number_within_the_bounds_is_refused(surrounded: Surrounded, number: str) -> None:
    surrounded(**COMPOSER, DB_POOL_SIZE=number)
    with pytest.raises(ConfigurationError, match="DB_POOL_SIZE: not"):
        load_settings()


@pytest.mark.parametrize("seconds", ["soon", "nan", "inf", "-1", "1e300", "0"])
def test_what_is_no_time_within_the_bounds_is_refused(surrounded: Surrounded, seconds: str) -> None:
    surrounded(**COMPOSER, START_LEASE=seconds)
    with pytest.raises(ConfigurationError, match="START_LEASE: "):
        load_settings()


def test_starts_are_not_taken_to_be_cut_short_while_they_are_worked_at(surrounded: Surrounded) -> None:
    surrounded(**COMPOSER, START_LEASE="20", COMPOSE_DEADLINE="21")
    with pytest.raises(ConfigurationError, match="START_LEASE: must not be shorter than COMPOSE_DEADLINE"):
        load_settings()


def test_the_values_of_variables_that_cannot_be_used_are_not_said(surrounded: Surrounded) -> None:
    picky = [name for name, variable in ALL_VARIABLES.items() if variable.values != "text" and name != "FEDORA_AUTH"]
    surrounded(**dict.fromkeys(picky, f"{SECRET}\n"))
    with pytest.raises(ConfigurationError) as raised:
        load_settings()
    assert SECRET not in raised.value.detail
    assert SECRET not in config().output


def test_a_secret_is_in_no_text_of_the_settings(surrounded: Surrounded) -> None:
    secrets = {name: SECRET for name, variable in ALL_VARIABLES.items() if variable.secret and variable.values != "URL"}
    urls = {"RECOMMENDATIONS_URL": "http://r", "UNLEASH_URL": "http://u"}
    surrounded(**COMPOSER, **secrets, **urls, RECOMMENDATIONS_PROXY=f"http://u:{SECRET}@proxy.example.com")
    settings = load_settings()
    assert SECRET not in repr([settings, settings.composer, settings.recommendations, settings.feature_flags])


def test_a_local_env_that_cannot_be_read_is_named(surrounded: Surrounded, tmp_path: Path) -> None:
    surrounded(**COMPOSER)
    (tmp_path / "local.env").write_bytes(b"PGHOST=\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"local\.env: cannot be read"):
        load_settings()


def test_what_is_found_later_is_said_beside_the_rest(surrounded: Surrounded) -> None:
    surrounded(PGPORT="five")
    with pytest.raises(ConfigurationError) as raised, report_all_faults():
        raise ConfigurationError("profiles.json: broken")
    assert [
        part for part in ("PGPORT", "COMPOSER_URL", "profiles.json: broken") if part not in raised.value.detail
    ] == []


@pytest.mark.parametrize(
    "dsn", ["https://glitchtip.example.com/1", "https://key@glitchtip.example.com/", "https://k@h/x"]
)
def test_what_is_no_dsn_is_refused(surrounded: Surrounded, dsn: str) -> None:
    surrounded(**COMPOSER, GLITCHTIP_DSN=dsn)
    with pytest.raises(ConfigurationError, match="GLITCHTIP_DSN: not a DSN"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("PGPASSWORD", "p@ss/word", "p@ss/word"),
        ("RECOMMENDATIONS_PROXY", "http://user:p%40ss-word@proxy.example.com", "p@ss-word"),
        ("COMPOSER_URL", "https://user:pass-word@composer.example.com", "pass-word"),
        ("GLITCHTIP_DSN", "https://public-key@glitchtip.example.com/1", "public-key"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "tenant=a,authorization=the-token", "the-token"),
        ("PGHOST", "http://user:pass-word@[::1", "http://user:pass-word@[::1"),
    ],
)
def test_what_gives_access_is_known_to_be_secret(name: str, value: str, secret: str) -> None:
    assert secret in set(secret_values(Settings, {name: value}))


def test_the_environment_wins_over_local_env(surrounded: Surrounded) -> None:
    surrounded("PGHOST=there", "PGUSER=local", **COMPOSER, PGHOST="here")
    assert (load_database_settings().host, load_database_settings().user) == ("here", "local")


def test_an_empty_variable_counts_as_unset(surrounded: Surrounded) -> None:
    surrounded("PGHOST=there", "PGUSER=", **COMPOSER, PGHOST="", PGPORT="", UNLEASH_URL="")
    settings = load_settings()
    assert (settings.database.host, settings.database.user, settings.database.port) == ("there", "postgres", 5432)
    assert settings.feature_flags.url == ""


def test_lines_of_local_env_reach_the_libraries_that_read_the_environment(surrounded: Surrounded) -> None:
    surrounded("PGAPPNAME=ours", "PGOPTIONS=local", **COMPOSER, PGOPTIONS="kept")
    load_settings()
    assert (os.environ["PGAPPNAME"], os.environ["PGOPTIONS"]) == ("ours", "kept")


def test_the_embedded_default_can_be_asked_for_before_the_rest_is_known(surrounded: Surrounded) -> None:
    surrounded("IMAGE_BUILDER_EMBEDDED=True")
    assert is_embedded_requested()


def test_config_says_where_each_value_comes_from(surrounded: Surrounded, tmp_path: Path) -> None:
    file = tmp_path / "clowder.json"
    file.write_text(json.dumps({"webPort": 8000, "database": None, "featureFlags": None}))
    surrounded("PGUSER=local", **COMPOSER, PGUSER="", PGHOST="db.example.com", ACG_CONFIG=str(file))
    said = config()
    assert said.exit_code == 0, said.output
    found = {name: row(said, name) for name in ("PGPORT", "PGUSER", "PGHOST", "LISTEN_ADDRESS")}
    assert found == {
        "PGPORT": ["5432", "default"],
        "PGUSER": ["local", "local.env"],
        "PGHOST": ["db.example.com", "environment"],
        "LISTEN_ADDRESS": ["0.0.0.0:8000", "ACG_CONFIG"],
    }


def test_config_prints_every_variable(surrounded: Surrounded) -> None:
    surrounded(**COMPOSER)
    assert [line.split()[0] for line in config().stdout.splitlines()] == list(ALL_VARIABLES)


def test_config_says_how_many_workers_are_chosen_and_why(surrounded: Surrounded) -> None:
    surrounded(**COMPOSER)
    chosen = choose_worker_count()
    line = next(line for line in config().stdout.splitlines() if line.startswith("WORKERS "))
    assert line.split(maxsplit=1)[1].startswith(f"{chosen.number} ({chosen.reason}) ")
    surrounded(**COMPOSER, WORKERS="3")
    assert row(config(), "WORKERS") == ["3", "environment"]


@pytest.mark.parametrize(
    ("size", "workers", "is_chosen", "expected"),
    [("", 1, True, 20), ("", 2, True, 10), ("", 8, True, 5), ("", 8, False, 20), ("7", 8, True, 7)],
)
def test_workers_of_a_chosen_number_share_the_connections_to_the_database(
    surrounded: Surrounded, size: str, workers: int, is_chosen: bool, expected: int
) -> None:
    surrounded(**COMPOSER, DB_POOL_SIZE=size)
    assert load_settings().serving.for_workers(workers, is_chosen=is_chosen).pool_size == expected


def test_config_masks_secrets(surrounded: Surrounded) -> None:
    secrets = {name: SECRET for name, variable in ALL_VARIABLES.items() if variable.secret and variable.values != "URL"}
    surrounded(
        **secrets,
        COMPOSER_URL=f"https://user:{SECRET}@composer.example.com/path",
        RECOMMENDATIONS_PROXY=f"http://{SECRET}@proxy.example.com:3128?key={SECRET}",
    )
    said = config()
    assert said.exit_code == 0, said.output
    assert SECRET not in said.output
    assert row(said, "COMPOSER_URL")[0] == "https://********@composer.example.com/path"


def test_config_ends_with_1_and_says_what_cannot_be_used(surrounded: Surrounded) -> None:
    surrounded(DRY_RUN="perhaps", WORKERS="many")
    said = config()
    assert said.exit_code == 1
    assert [name for name in ("COMPOSER_URL", "DRY_RUN", "WORKERS") if f"{name}: " not in said.stderr] == []


def test_config_writes_the_document_whatever_the_environment_says(surrounded: Surrounded) -> None:
    surrounded(WORKERS="many")
    assert config("--markdown").stdout == format_document()


@pytest.mark.parametrize("text", ["http://[", "http://[::1"])
def test_a_broken_address_is_masked_as_a_whole(text: str) -> None:
    assert without_credentials(text) == "********"


def test_settings_cannot_be_changed(surrounded: Surrounded) -> None:
    surrounded(**COMPOSER)
    with pytest.raises(AttributeError):
        load_settings().serving.workers = 2  # type: ignore[misc]


def test_log_sinks_that_are_set_are_those_not_served(surrounded: Surrounded) -> None:
    surrounded(**COMPOSER, SPLUNK_HEC_HOST="splunk.example.com", CW_LOG_GROUP="group")
    settings: Settings = load_settings()
    assert settings.ignored_variables == ("SPLUNK_HEC_HOST", "CW_LOG_GROUP")


def test_content_sources_whose_snapshots_nobody_can_read_are_as_if_not_there(surrounded: Surrounded) -> None:
    surrounded(**COMPOSER, CONTENT_SOURCES_URL="http://content")
    settings = load_settings()
    assert (settings.content_sources.url, settings.ignored_variables) == ("", ("CONTENT_SOURCES_URL",))


def test_content_sources_with_an_address_of_snapshots_are_asked(surrounded: Surrounded) -> None:
    surrounded(**COMPOSER, CONTENT_SOURCES_URL="http://content", CONTENT_SOURCES_REPO_URL="http://snapshots")
    settings = load_settings()
    assert (settings.content_sources.url, settings.ignored_variables) == ("http://content", ())
