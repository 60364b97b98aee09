"""The environment variables of the service, by section. A new variable is one line in one of these classes.

`make docs` writes docs/configuration.md from these declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from adapters.files.project_files import DISTRIBUTIONS
from domain.budgets import Budget
from domain.compose.targets import UploadSettings
from image_builder.configuration.serving import DatabaseSettings
from image_builder.configuration.variables import Section
from image_builder.telemetry.logs import FORMATS, LEVELS

_MiB: Final = 1024 * 1024
_CLIENT_ID, _CLIENT_SECRET = "OAuth2 client id", "OAuth2 client secret"
_TOKEN_URL: Final = "OAuth2 token endpoint; unset: requests carry no token"  # noqa: S105

_composer: Final = Section("Composer")
_builds: Final = Section("Builds")
_content: Final = Section(
    "Content sources",
    "Without content sources, requests that need them get 503, and RHEL repositories are those of the distribution "
    "directory.",
)
_customers: Final = Section("Provisioning and compliance", "A request that needs one that is not set gets 503.")
_recommendations: Final = Section("Recommendations", "Requests for recommendations get 503 where the URL is not set.")
_features: Final = Section("Feature flags", "All flags are on where Unleash is not set, or was never reached.")
_rates: Final = Section("Rate limits", "Each organization has its own; see [rate-limits.md](rate-limits.md).")
_telemetry: Final = Section(
    "Log, traces, error reports",
    "The service sends telemetry only to the addresses set here. OpenTelemetry also reads its other variables "
    "(`OTEL_…`), except `OTEL_SERVICE_NAME` (always `image-builder`), `…_TIMEOUT` (always 5 s) and "
    "`…_TRACES_ENDPOINT`.",
)
_sinks: Final = Section(
    "Log sinks of the Go service",
    "Not supported: the service logs to standard output. A warning at start names those that are set.",
)
_about: Final = Section("About the build")
_maintenance: Final = Section("Maintenance", "Only `image-builder maintenance` reads them, and the database's.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposerSettings:
    """The composer, and the OAuth2 client that the service is there."""

    url: str = _composer.required_url("COMPOSER_URL", "URL of the composer")
    token_url: str = _composer.url("COMPOSER_TOKEN_URL", "", _TOKEN_URL)
    client_id: str = _composer.text("COMPOSER_CLIENT_ID", "", _CLIENT_ID)
    client_secret: str = _composer.text("COMPOSER_CLIENT_SECRET", "", _CLIENT_SECRET, secret=True)
    ca_file: Path | None = _composer.file("COMPOSER_CA_PATH", "the only certificate authorities trusted for its URL")
    reuse_seconds: float = _composer.number(
        "COMPOSER_REUSE",
        0.3,
        "seconds; a build is submitted on an open connection only if it was idle for less. Must be shorter than the "
        "idle timeouts of the composer and of proxies in front of it; 0: always on a new connection",
        within=(0.0, 60.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """What can be built, by whom, and how a build is started."""

    distributions: Path = _builds.folder(
        "DISTRIBUTIONS_DIR",
        DISTRIBUTIONS,
        "distribution directory: a folder for each distribution",
        shown_default="the one that comes with the service",
    )
    quota_file: Path | None = _builds.file(
        "QUOTA_FILE", "quotas by organization; unset: unlimited. Changes apply while the service runs"
    )
    allow_file: Path | None = _builds.file(
        "ALLOW_FILE", "organizations that may build restricted distributions; unset: none"
    )
    aws_region: str = _builds.text("OSBUILD_AWS_REGION", "", "region that AWS images are uploaded to")
    gcp_region: str = _builds.text("OSBUILD_GCP_REGION", "", "region that Google Cloud images are uploaded to")
    gcp_bucket: str = _builds.text("OSBUILD_GCP_BUCKET", "", "bucket that Google Cloud images are uploaded through")
    compose_deadline: float = _builds.number(
        "COMPOSE_DEADLINE", 30.0, "seconds for the look-ups and the submission of one build", within=(1.0, 600.0)
    )
    resolution_timeout: float = _builds.number(
        "RESOLUTION_TIMEOUT",
        20.0,
        "seconds that a check waits for the composer's resolution of packages; after that they are not checked",
        within=(0.1, 20.0),
    )
    start_lease: timedelta = _builds.seconds(
        "START_LEASE",
        300.0,
        "seconds after which the reconciler takes a start as abandoned. At least COMPOSE_DEADLINE; better a minute "
        "more, for recording or cancelling the build",
        within=(1.0, 86_400.0),
    )
    reconcile_interval: timedelta = _builds.seconds(
        "RECONCILE_INTERVAL", 60.0, "seconds between two runs of the reconciler", within=(0.1, 3600.0)
    )
    fingerprint_secret: str = _builds.text(
        "FINGERPRINT_SECRET",
        "",
        "key for the fingerprints of requests, the same in all pods; unset: `COMPOSER_CLIENT_SECRET`, else "
        "`PGPASSWORD`",
        secret=True,
    )
    insights_client_proxy: str = _builds.text("INSIGHTS_CLIENT_PROXY", "", "proxy that registered machines use")
    patch_url: str = _builds.url("PATCH_URL", "", "patch service that registered machines use")

    @property
    def upload(self) -> UploadSettings:
        """Where images are uploaded to."""
        return UploadSettings(self.aws_region, self.gcp_region, self.gcp_bucket)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSettings:
    """The status watcher, which asks the composer about builds without a final status."""

    looks_per_second: int = _builds.integer(
        "STATUS_LOOKS_PER_SECOND",
        20,
        "builds that the status watcher asks the composer about per second; 0: it does not ask",
        within=(0, 1000),
    )
    looks_at_once: int = _builds.integer(
        "STATUS_LOOKS_AT_ONCE", 8, "calls of the composer that the status watcher makes at a time", within=(1, 100)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentSourcesSettings:
    """Content sources: repositories and their snapshots."""

    configured_url: str = _content.url("CONTENT_SOURCES_URL", "", "URL of content sources")
    repository_url: str = _content.url(
        "CONTENT_SOURCES_REPO_URL", "", "URL that builds read snapshots from; unset: content sources are not used"
    )
    repository_prefix: str = _content.text(
        "CONTENT_SOURCES_REPO_PREFIX", "", "path below it of snapshots by date and of templates"
    )

    @property
    def url(self) -> str:
        """The URL of content sources; empty where builds could not read their snapshots.

        That is no error: under Clowder the endpoint of content sources appears without being asked for.
        """
        return self.configured_url if self.repository_url else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerSettings:
    """Back-ends that keep customers' cloud accounts and compliance policies."""

    provisioning_url: str = _customers.url(
        "PROVISIONING_URL", "", "URL of provisioning, for `share_with_sources` of requests"
    )
    compliance_url: str = _customers.url("COMPLIANCE_URL", "", "URL of compliance")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationsSettings:
    """Package recommendations, and the OAuth2 client that the service is there."""

    url: str = _recommendations.url("RECOMMENDATIONS_URL", "", "URL of package recommendations")
    token_url: str = _recommendations.url("RECOMMENDATIONS_TOKEN_URL", "", _TOKEN_URL)
    client_id: str = _recommendations.text("RECOMMENDATIONS_CLIENT_ID", "", _CLIENT_ID)
    client_secret: str = _recommendations.text("RECOMMENDATIONS_CLIENT_SECRET", "", _CLIENT_SECRET, secret=True)
    proxy: str = _recommendations.url("RECOMMENDATIONS_PROXY", "", "HTTP proxy for both URLs", secret=True)
    ca_file: Path | None = _recommendations.file(
        "RECOMMENDATIONS_CA_PATH", "the only certificate authorities trusted for both URLs"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureFlagSettings:
    """Unleash."""

    url: str = _features.url("UNLEASH_URL", "", "Unleash's API, such as `https://unleash.example.com/api`")
    token: str = _features.text("UNLEASH_TOKEN", "", "client token", secret=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitSettings:
    """How many requests an organization may make in any `window` of seconds."""

    enabled: bool = _rates.boolean("RATE_LIMITS", True, "enable rate limits")
    # The console asks for each row it shows every 8 s: eight tabs, or as many colleagues, with a hundred builds each.
    reads: int = _rates.integer("RATE_LIMIT_READS", 6000, "requests that read", within=(1, 10**6))
    writes: int = _rates.integer("RATE_LIMIT_WRITES", 600, "requests that change something", within=(1, 10**6))
    builds: int = _rates.integer(
        "RATE_LIMIT_BUILDS", 300, "builds that are started, one for each image", within=(1, 10**6)
    )
    window: int = _rates.integer("RATE_LIMIT_WINDOW", 60, "seconds in which that many are allowed", within=(1, 3600))
    storage_url: str = _rates.url(
        "RATE_LIMIT_STORAGE_URL",
        "",
        "Redis or Valkey where all processes count together; unset: the workers of each pod count together",
        secret=True,
        schemes="redis rediss valkey valkeys",
    )
    storage_timeout: timedelta = _rates.seconds(
        "RATE_LIMIT_STORAGE_TIMEOUT", 0.1, "seconds after which requests pass uncounted", within=(0.001, 10.0)
    )

    @property
    def amounts(self) -> Mapping[Budget, int]:
        """Requests in a window, by kind."""
        return {Budget.READS: self.reads, Budget.WRITES: self.writes, Budget.BUILD_REQUESTS: self.builds}


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Log, traces and error reports."""

    log_level: str = _telemetry.choice(
        "LOG_LEVEL",
        "INFO",
        "lowest level that is logged; `TRACE` means `DEBUG`",
        allowed=tuple(LEVELS),
        ignore_case=True,
    )
    log_format: str = _telemetry.choice(
        "LOG_FORMAT",
        "",
        "form of the log; unset: `console` (lines for people) on a terminal, `json` elsewhere",
        allowed=FORMATS,
    )
    otlp_endpoint: str = _telemetry.url(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        "collector of traces (OTLP over HTTP); the service sends them to `/v1/traces` below it",
    )
    otlp_headers: str = _telemetry.text(
        "OTEL_EXPORTER_OTLP_HEADERS", "", "headers for the collector: `name=value,name=value`", secret=True
    )
    glitchtip_dsn: str = _telemetry.dsn(
        "GLITCHTIP_DSN", "server for reports of unforeseen errors: a traceback, nothing of the request"
    )
    sentry_dsn: str = _telemetry.dsn("SENTRY_DSN", "the same, used where `GLITCHTIP_DSN` is not set")

    @property
    def error_report_dsn(self) -> str:
        """Where errors are reported to; empty for nowhere."""
        return self.glitchtip_dsn or self.sentry_dsn


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSinkSettings:
    """Variables of the Go service that do nothing here."""

    splunk_host: str = _sinks.text("SPLUNK_HEC_HOST", "", "Splunk")
    splunk_port: str = _sinks.text("SPLUNK_HEC_PORT", "", "Splunk")
    splunk_token: str = _sinks.text("SPLUNK_HEC_TOKEN", "", "Splunk", secret=True)
    cloudwatch_region: str = _sinks.text("CW_AWS_REGION", "", "CloudWatch")
    cloudwatch_key: str = _sinks.text("CW_AWS_ACCESS_KEY_ID", "", "CloudWatch", secret=True)
    cloudwatch_secret: str = _sinks.text("CW_AWS_SECRET_ACCESS_KEY", "", "CloudWatch", secret=True)
    cloudwatch_group: str = _sinks.text("CW_LOG_GROUP", "", "CloudWatch")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildInfoSettings:
    """Which build of the service this is."""

    commit: str = _about.text("BUILD_COMMIT", "", "commit that `/version` shows")
    time: str = _about.text("BUILD_TIME", "", "time that `/version` shows")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceSettings:
    """What `image-builder maintenance` reads."""

    database: DatabaseSettings
    enabled: bool = _maintenance.boolean("ENABLE_DB_MAINTENANCE", False, "enable the maintenance command")
    dry_run: bool = _maintenance.boolean("DRY_RUN", True, "count rows, remove none")
    # At least one month: 0 would remove everything. A thousand years are enough for ever.
    retention_months: int = _maintenance.integer(
        "DB_COMPOSES_RETENTION_MONTHS", 24, "calendar months (UTC) for which composes are kept", within=(1, 12_000)
    )
