"""The environment, read once into one frozen object (spec: Back-ends, names of environment variables)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from environs import Env, EnvError, ValidationError, validate

from domain.compose.snapshots import ContentSettings
from domain.compose.targets import UploadSettings
from domain.errors import ConfigurationError
from image_builder.clowder import clowder_variables
from image_builder.telemetry.logs import LEVELS

PROJECT: Final = Path(__file__).parent.parent
_url: Final = validate.URL(schemes={"http", "https"}, require_tld=False)
_TRUTHS: Final = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


# Where the Go service sends its log and its errors; this one does not, or not yet.
_NOT_SERVED: Final = (
    "SPLUNK_HEC_HOST",
    "SPLUNK_HEC_PORT",
    "SPLUNK_HEC_TOKEN",
    "CW_AWS_REGION",
    "CW_AWS_ACCESS_KEY_ID",
    "CW_AWS_SECRET_ACCESS_KEY",
    "CW_LOG_GROUP",
    "GLITCHTIP_DSN",
)


@dataclass(frozen=True, slots=True)
class BackEndSettings:
    """Where a back-end is, and who we are there; no `token_url` means it asks for no token."""

    url: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    ca_path: str
    proxy: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class UnleashSettings:
    """Where feature flags are kept."""

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that differs from one place where the service runs to another."""

    host: str
    port: int
    log_level: str
    path_prefix: str
    app_name: str
    fedora_auth: bool
    database: Mapping[str, Any] = field(repr=False)
    pool_size: int
    direct_threads: int
    waiting_threads: int
    largest_body: int
    distributions: Path
    quota_file: Path | None
    allow_file: Path | None
    composer: BackEndSettings
    upload: UploadSettings
    content: ContentSettings
    content_sources_url: str
    provisioning_url: str
    compliance_url: str
    recommendations: BackEndSettings | None
    unleash: UnleashSettings | None
    compose_deadline: float
    start_lease: timedelta
    reconcile_interval: timedelta
    fingerprint_secret: str = field(repr=False)
    build_commit: str
    build_time: str
    # Names of variables that are set and do nothing.
    not_served: tuple[str, ...]

    @property
    def base_paths(self) -> tuple[str, str, str]:
        """Where every operation answers; the last is the public route."""
        own = f"/{self.path_prefix}/{self.app_name}"
        return f"{own}/v1", f"{own}/v1.0", "/api/v1/image-builder"


@dataclass(frozen=True, slots=True)
class MaintenanceSettings:
    """Whether and how `maintenance` works; composes are kept for `retention_months`."""

    enabled: bool
    dry_run: bool
    retention_months: int
    database: Mapping[str, Any] = field(repr=False)


def from_environment() -> Settings:
    """The settings of the environment and a `local.env` in the working directory; the environment wins.

    An empty variable counts as unset.

    Raises ConfigurationError that names every variable that cannot be used.
    """
    env = _environment()
    host, port = _listen_address(env)
    settings = Settings(
        host=host,
        port=port,
        log_level=env.str("LOG_LEVEL", "INFO", validate=_level),
        path_prefix=env.str("PATH_PREFIX", "api").strip("/"),
        app_name=env.str("APP_NAME", "image-builder").strip("/"),
        fedora_auth=env.str("FEDORA_AUTH", "").lower() in {"true", "1"},
        database=_database(env),
        pool_size=env.int("DB_POOL_SIZE", 20, validate=validate.Range(1, 500)),
        direct_threads=env.int("DIRECT_THREADS", 20, validate=validate.Range(1, 500)),
        waiting_threads=env.int("WAITING_THREADS", 80, validate=validate.Range(1, 2000)),
        largest_body=env.int("MAX_BODY_BYTES", 4 * 1024 * 1024, validate=validate.Range(1024, 1024**3)),
        distributions=Path(env.str("DISTRIBUTIONS_DIR", "") or PROJECT / "distributions"),
        quota_file=_path(env, "QUOTA_FILE"),
        allow_file=_path(env, "ALLOW_FILE"),
        composer=_composer(env),
        upload=UploadSettings(
            aws_region=env.str("OSBUILD_AWS_REGION", ""),
            gcp_region=env.str("OSBUILD_GCP_REGION", ""),
            gcp_bucket=env.str("OSBUILD_GCP_BUCKET", ""),
        ),
        content=ContentSettings(
            repo_url=env.str("CONTENT_SOURCES_REPO_URL", ""),
            repo_prefix=env.str("CONTENT_SOURCES_REPO_PREFIX", ""),
            insights_client_proxy=env.str("INSIGHTS_CLIENT_PROXY", ""),
            patch_url=env.str("PATCH_URL", ""),
        ),
        content_sources_url=_optional_url(env, "CONTENT_SOURCES_URL"),
        provisioning_url=_optional_url(env, "PROVISIONING_URL"),
        compliance_url=_optional_url(env, "COMPLIANCE_URL"),
        recommendations=_recommendations(env),
        unleash=_unleash(env),
        compose_deadline=env.float("COMPOSE_DEADLINE", 30.0, validate=validate.Range(1.0, 600.0)),
        start_lease=_seconds(env, "START_LEASE", 300.0, validate.Range(1.0, 86_400.0)),
        reconcile_interval=_seconds(env, "RECONCILE_INTERVAL", 60.0, validate.Range(0.1, 3600.0)),
        # All pods have the composer's secret, too.
        fingerprint_secret=env.str("FINGERPRINT_SECRET", "") or env.str("COMPOSER_CLIENT_SECRET", ""),
        build_commit=env.str("BUILD_COMMIT", ""),
        build_time=env.str("BUILD_TIME", ""),
        not_served=tuple(name for name in _NOT_SERVED if env.str(name, "")),
    )
    _seal(env)
    if settings.content_sources_url and not settings.content.repo_url:
        raise ConfigurationError("CONTENT_SOURCES_URL needs CONTENT_SOURCES_REPO_URL: where builds read snapshots")
    if settings.start_lease.total_seconds() < settings.compose_deadline:
        raise ConfigurationError("START_LEASE must not be shorter than COMPOSE_DEADLINE: starts are still worked at")
    return settings


def database_parameters() -> Mapping[str, Any]:
    """What `migrate` needs of the environment. Raises ConfigurationError."""
    env = _environment()
    parameters = _database(env)
    _seal(env)
    return parameters


def maintenance_settings() -> MaintenanceSettings:
    """What `maintenance` needs of the environment. Raises ConfigurationError that names all that cannot be used."""
    env = _environment()
    settings = MaintenanceSettings(
        enabled=_truth(env, "ENABLE_DB_MAINTENANCE", default=False),
        dry_run=_truth(env, "DRY_RUN", default=True),
        # None at all would remove everything; a thousand years are enough for ever.
        retention_months=env.int("DB_COMPOSES_RETENTION_MONTHS", 24, validate=validate.Range(1, 12_000)),
        database=_database(env),
    )
    _seal(env)
    return settings


def _environment() -> Env:
    env = Env(eager=False)
    env.read_env("local.env", recurse=False, override=False)
    # Templates set variables that they have no value for.
    for name in [name for name, value in os.environ.items() if not value]:
        del os.environ[name]
    if "ACG_CONFIG" in os.environ:
        told = clowder_variables(os.environ["ACG_CONFIG"])
        if "LISTEN_ADDRESS" in os.environ:
            told.pop("LISTEN_ADDRESS", None)
        os.environ.update(told)
    return env


def _seal(env: Env) -> None:
    try:
        env.seal()
    except EnvError as error:
        raise ConfigurationError(f"Environment variables that cannot be used: {error}") from None


def _database(env: Env) -> dict[str, Any]:
    parameters = {
        "host": env.str("PGHOST", "localhost"),
        "port": env.int("PGPORT", 5432, validate=validate.Range(1, 65535)),
        "dbname": env.str("PGDATABASE", "imagebuilder"),
        "user": env.str("PGUSER", "postgres"),
        "password": env.str("PGPASSWORD", ""),
        "sslmode": env.str("PGSSLMODE", "prefer", validate=validate.OneOf(_SSL_MODES)),
    }
    return {name: value for name, value in parameters.items() if value != ""}


def _composer(env: Env) -> BackEndSettings:
    return BackEndSettings(
        url=env.str("COMPOSER_URL", validate=_url),
        token_url=env.str("COMPOSER_TOKEN_URL", ""),
        client_id=env.str("COMPOSER_CLIENT_ID", ""),
        client_secret=env.str("COMPOSER_CLIENT_SECRET", ""),
        ca_path=env.str("COMPOSER_CA_PATH", "", validate=_readable_file),
    )


def _recommendations(env: Env) -> BackEndSettings | None:
    settings = BackEndSettings(
        url=_optional_url(env, "RECOMMENDATIONS_URL"),
        token_url=_optional_url(env, "RECOMMENDATIONS_TOKEN_URL"),
        client_id=env.str("RECOMMENDATIONS_CLIENT_ID", ""),
        client_secret=env.str("RECOMMENDATIONS_CLIENT_SECRET", ""),
        ca_path=env.str("RECOMMENDATIONS_CA_PATH", "", validate=_readable_file),
        proxy=_optional_url(env, "RECOMMENDATIONS_PROXY"),
    )
    return settings if settings.url else None


def _unleash(env: Env) -> UnleashSettings | None:
    settings = UnleashSettings(_optional_url(env, "UNLEASH_URL"), env.str("UNLEASH_TOKEN", ""))
    return settings if settings.url else None


def _optional_url(env: Env, name: str) -> str:
    """The address of something that the service can do without; empty where it has to."""

    def check(text: str) -> None:
        if text:
            _url(text)

    return env.str(name, "", validate=check) or ""


def _truth(env: Env, name: str, *, default: bool) -> bool:
    """A truth value as the Go service reads them, in any case; no other word counts as either."""

    def check(text: str) -> None:
        if text and text.lower() not in _TRUTHS:
            raise ValidationError(f"expected one of {', '.join(_TRUTHS)}")

    text = env.str(name, "", validate=check) or ""
    return _TRUTHS.get(text.lower(), default)


def _listen_address(env: Env) -> tuple[str, int]:
    def check(text: str) -> None:
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535 or " " in host:
            raise ValidationError("expected host:port, or :port for all addresses")

    address = env.str("LISTEN_ADDRESS", "localhost:8086", validate=check) or ""
    host, _, port = address.rpartition(":")
    return host.strip("[]") or "0.0.0.0", int(port) if port.isdecimal() else 0


def _seconds(env: Env, name: str, default: float, within: validate.Range) -> timedelta:
    return timedelta(seconds=env.float(name, default, validate=within) or default)


def _path(env: Env, name: str) -> Path | None:
    text = env.str(name, "")
    return Path(text) if text else None


def _level(text: str) -> None:
    if text.upper() not in LEVELS:
        raise ValidationError(f"expected one of {', '.join(LEVELS)}")


def _readable_file(text: str) -> None:
    if text and not os.access(text, os.R_OK):
        raise ValidationError("no file that can be read")
