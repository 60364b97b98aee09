"""The settings of the service, read from the environment. `sections` and `serving` declare the variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from domain.compose.snapshots import ContentSettings
from domain.errors import ConfigurationError
from image_builder.configuration.environment import export_local_lines, load_environment
from image_builder.configuration.sections import (
    BuildInfoSettings,
    BuildSettings,
    ComposerSettings,
    ContentSourcesSettings,
    CustomerSettings,
    FeatureFlagSettings,
    LogSinkSettings,
    MaintenanceSettings,
    RateLimitSettings,
    RecommendationsSettings,
    StatusSettings,
    TelemetrySettings,
)
from image_builder.configuration.serving import DatabaseSettings, ServingSettings
from image_builder.configuration.variables import (
    SettingsT,
    build_settings,
    format_faults,
    read_variables,
    secret_values,
    variables,
)
from image_builder.telemetry.secrets import register_secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `image-builder serve` reads at its start, by section."""

    database: DatabaseSettings
    serving: ServingSettings
    composer: ComposerSettings
    builds: BuildSettings
    statuses: StatusSettings
    content_sources: ContentSourcesSettings
    customers: CustomerSettings
    recommendations: RecommendationsSettings
    feature_flags: FeatureFlagSettings
    rate_limits: RateLimitSettings
    telemetry: TelemetrySettings
    log_sinks: LogSinkSettings
    build_info: BuildInfoSettings

    @staticmethod
    def find_faults(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Check variables that depend on each other; `SettingsClass` says how."""
        lease, deadline = values.get("START_LEASE"), values.get("COMPOSE_DEADLINE")
        if lease is not None and deadline is not None and lease.total_seconds() < deadline:
            yield "START_LEASE", "must not be shorter than COMPOSE_DEADLINE, for which starts are still worked on"

    @property
    def fingerprint_secret(self) -> str:
        """The key of the fingerprints of requests."""
        return self.builds.fingerprint_secret or self.composer.client_secret or self.database.password

    @property
    def content(self) -> ContentSettings:
        """Where builds and built machines read content."""
        return ContentSettings(
            self.content_sources.repository_url,
            self.content_sources.repository_prefix,
            self.builds.insights_client_proxy,
            self.builds.patch_url,
        )

    @property
    def ignored_variables(self) -> tuple[str, ...]:
        """Names of variables that are set and have no effect."""
        values = (getattr(self.log_sinks, name) for name in LogSinkSettings.__dataclass_fields__)
        sinks = [each.name for each, value in zip(variables(LogSinkSettings), values, strict=True) if value]
        content = self.content_sources
        return (*sinks, *(["CONTENT_SOURCES_URL"] if content.configured_url != content.url else []))


ALL_VARIABLES: Final = {each.name: each for declared in (Settings, MaintenanceSettings) for each in variables(declared)}


def load_settings() -> Settings:
    """The settings of the environment and of a `local.env` in the working directory; the environment takes precedence.

    An empty variable counts as unset. Raises ConfigurationError that names every variable that cannot be used, and why.
    """
    return _load(Settings)


def is_embedded_requested() -> bool:
    """The value of IMAGE_BUILDER_EMBEDDED, whatever other variables hold; False where it cannot be read."""
    return bool(read_variables(ServingSettings, load_environment().values)[0].get("IMAGE_BUILDER_EMBEDDED", False))


def find_listen_address() -> str | None:
    """The value of LISTEN_ADDRESS, whatever other variables hold; None where it cannot be read."""
    address = read_variables(ServingSettings, load_environment().values)[0].get("LISTEN_ADDRESS")
    return None if address is None else str(address)


def load_database_settings() -> DatabaseSettings:
    """The database variables of the environment. Raises ConfigurationError that names all that cannot be used."""
    return _load(DatabaseSettings)


def load_maintenance_settings() -> MaintenanceSettings:
    """What `maintenance` reads of the environment. Raises ConfigurationError that names all that cannot be used."""
    return _load(MaintenanceSettings)


def _load(settings_class: type[SettingsT]) -> SettingsT:
    environment = load_environment()
    values, faults = read_variables(settings_class, environment.values)
    faults = {**environment.faults, **faults}
    if faults:
        raise ConfigurationError(format_faults(faults))
    export_local_lines(frozenset(ALL_VARIABLES))
    register_secrets(secret_values(settings_class, environment.values))
    return build_settings(settings_class, values)
