"""Clowder's configuration file, which ACG_CONFIG names, as environment variables (docs/operations.md)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from tempfile import NamedTemporaryFile
from typing import Any, Final
from urllib.parse import quote

from domain.errors import ConfigurationError

# By application and endpoint name: the variable, and the path below host and port.
_ENDPOINTS: Final = {
    ("provisioning-backend", "api"): ("PROVISIONING_URL", "/api/provisioning/v1"),
    ("content-sources-backend", "service"): ("CONTENT_SOURCES_URL", "/api/content-sources/v1"),
    ("compliance", "service"): ("COMPLIANCE_URL", "/api/compliance/v2"),
}


def clowder_variables(file: str) -> dict[str, str]:
    """The environment variables that the file sets. Raises ConfigurationError that names a file it cannot read."""
    try:
        # Here, because the package reads the file as soon as it is imported.
        from app_common_python import loadConfig  # noqa: PLC0415

        return dict(_variables(loadConfig(file)))  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise ConfigurationError(f"{file} cannot be read: {type(error).__name__}") from error


def _variables(config: Any) -> Iterator[tuple[str, str]]:
    port = config.webPort or config.publicPort
    if port:
        yield "LISTEN_ADDRESS", f"0.0.0.0:{port}"
    if config.database is not None:
        yield from _database(config)
    for endpoint in config.endpoints or ():
        known = _ENDPOINTS.get((endpoint.app, endpoint.name))
        if known is not None:
            name, path = known
            yield name, f"http://{endpoint.hostname}:{endpoint.port}{path}"
    if config.inMemoryDb is not None:
        yield "RATE_LIMIT_STORAGE_URL", _storage_url(config.inMemoryDb)
    if config.logging is not None and config.logging.cloudwatch is not None:
        yield from _log_sink(config.logging.cloudwatch)
    flags = config.featureFlags
    if flags is not None:
        scheme = getattr(flags.scheme, "value", flags.scheme) or "http"
        yield "UNLEASH_URL", f"{scheme}://{flags.hostname}:{flags.port}/api"
        if flags.clientAccessToken:
            yield "UNLEASH_TOKEN", flags.clientAccessToken
    if config.metadata is not None and "ephemeral" in (config.metadata.envName or ""):
        yield "LOG_LEVEL", "DEBUG"


def _database(config: Any) -> Iterator[tuple[str, str]]:
    database = config.database
    for name, value in (
        ("PGHOST", database.hostname),
        ("PGPORT", database.port),
        ("PGDATABASE", database.name),
        ("PGUSER", database.username),
        ("PGPASSWORD", database.password),
        ("PGSSLMODE", database.sslMode),
        ("PGSSLROOTCERT", _write_certificate(database.rdsCa) if database.rdsCa else None),
    ):
        if value:
            yield name, str(value)


def _log_sink(sink: Any) -> Iterator[tuple[str, str]]:
    """Variables without effect, so that the warning about log sinks names them."""
    for name, value in (
        ("CW_AWS_REGION", sink.region),
        ("CW_AWS_ACCESS_KEY_ID", sink.accessKeyId),
        ("CW_AWS_SECRET_ACCESS_KEY", sink.secretAccessKey),
        ("CW_LOG_GROUP", sink.logGroup),
    ):
        if value:
            yield name, value


def _storage_url(memory: Any) -> str:
    encrypted = memory.sslMode and memory.sslMode != "disable"
    # A password without a user belongs to the storage's default user.
    credentials = f"{quote(memory.username or '', '')}:{quote(memory.password, '')}@" if memory.password else ""
    return f"{'rediss' if encrypted else 'redis'}://{credentials}{memory.hostname}:{memory.port}"


@cache
def _write_certificate(certificate: str) -> str:
    """Write the certificate to a file, and return its path: libpq reads certificates from files only."""
    with NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
        file.write(certificate)
    return file.name
