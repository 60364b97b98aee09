"""Everything that differs from one place where the service runs to another (spec: Back-ends, names of variables).

A new variable is one line in one of these classes; docs/configuration.md is made from them (`make docs`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from domain.budgets import Budget
from domain.compose.snapshots import ContentSettings
from domain.compose.targets import UploadSettings
from domain.composes import LARGEST_LIST
from domain.errors import ConfigurationError
from image_builder.environment import environment, hand_on
from image_builder.groups import BackEndSettings, RateLimitSettings, UnleashSettings
from image_builder.telemetry.logs import LEVELS
from image_builder.telemetry.secrets import hide
from image_builder.variables import Declared, Section, look, secrets, told, variables

__all__ = [
    "ALL",
    "PROJECT",
    "BackEndSettings",
    "MaintenanceSettings",
    "RateLimitSettings",
    "Settings",
    "UnleashSettings",
    "database_parameters",
    "embedded_wanted",
    "from_environment",
    "maintenance_settings",
]

PROJECT: Final = Path(__file__).parent.parent

_MiB: Final = 1024 * 1024
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_ID, _SECRET = "OAuth2 client id", "OAuth2 client secret"
_TOKEN_URL: Final = "where OAuth2 client credentials become a token; unset: it is asked without one"  # noqa: S105

_serving: Final = Section("Serving")
_database: Final = Section("Database", "PostgreSQL, version 12 or newer. libpq reads its other variables as ever.")
_composer: Final = Section("Composer")
_builds: Final = Section("Builds")
_content: Final = Section(
    "Content sources",
    "Without it a request that needs it gets 503, and RHEL repositories are as the distribution directory has them.",
)
_customers: Final = Section("Provisioning and compliance", "A request that needs one that is not set gets 503.")
_recommendations: Final = Section("Recommendations", "A request for recommendations gets 503 where its URL is not set.")
_features: Final = Section("Feature flags", "Where Unleash is not set, or was never reached, all flags are on.")
_rates: Final = Section("Rate limits", "Of each organization, as [rate-limits.md](rate-limits.md) explains.")
_telemetry: Final = Section(
    "Log, traces, error reports",
    "Nothing is sent anywhere unless it is set up here. OpenTelemetry reads its other variables (`OTEL_…`) as ever, "
    "but for name (`image-builder`), timeout (5 s) and address: `OTEL_SERVICE_NAME`, `…_TIMEOUT` and "
    "`…_TRACES_ENDPOINT` change nothing.",
)
_sinks: Final = Section(
    "Log sinks of the Go service", "Not served: the log goes to standard output. One warning at start names those set."
)
_about: Final = Section("About itself")
_maintenance: Final = Section("Maintenance", "Read by `image-builder maintenance` alone, besides the database's.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """Where the database is; all that `migrate` needs."""

    pg_host: str = _database.text("PGHOST", "localhost", "its host")
    pg_port: int = _database.whole("PGPORT", 5432, "its port", within=(1, 65535))
    pg_database: str = _database.text("PGDATABASE", "imagebuilder", "its name")
    pg_user: str = _database.text("PGUSER", "postgres", "the role we are there")
    pg_password: str = _database.text("PGPASSWORD", "", "its password", secret=True)
    pg_ssl_mode: str = _database.choice("PGSSLMODE", "prefer", "how much of TLS is asked for", of=_SSL_MODES)
    pg_ssl_root: Path | None = _database.file("PGSSLROOTCERT", "the authorities its certificate is checked with")

    @property
    def database(self) -> Mapping[str, Any]:
        """As psycopg takes it; it holds the password."""
        parameters = {
            "host": self.pg_host,
            "port": self.pg_port,
            "dbname": self.pg_database,
            "user": self.pg_user,
            "password": self.pg_password,
            "sslmode": self.pg_ssl_mode,
            "sslrootcert": str(self.pg_ssl_root or ""),
        }
        return {name: value for name, value in parameters.items() if value != ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(DatabaseSettings):
    """What the service reads at its start."""

    listen_address: str = _serving.address("LISTEN_ADDRESS", "localhost:8086", "`:8086` is all addresses")
    workers: int = _serving.whole("WORKERS", 1, "worker processes; `--workers` comes before it", within=(1, 64))
    embedded: bool = _serving.truth(
        "IMAGE_BUILDER_EMBEDDED", False, "brings a database and stand-in back-ends, as `--embedded` does"
    )
    path_prefix: str = _serving.segments(
        "PATH_PREFIX", "api", "with `APP_NAME` the first two base paths, `/{prefix}/{name}/v1` and `…/v1.0`"
    )
    app_name: str = _serving.segments("APP_NAME", "image-builder", "the third base path is `/api/v1/image-builder`")
    fedora_auth: bool = _serving.yes("FEDORA_AUTH", "identities come in `x-fedora-identity`")
    largest_body: int = _serving.whole(
        "MAX_BODY_BYTES", 4 * _MiB, "a larger request body is refused with 413", within=(1024, 1024 * _MiB)
    )
    request_memory: int = _serving.whole(
        "REQUEST_MEMORY_BYTES",
        96 * _MiB,
        "memory that a worker's requests may hold at a time; one organization may hold half of it",
        within=(16 * _MiB, 65536 * _MiB),
    )
    most_connections: int = _serving.whole(
        "MAX_CONNECTIONS",
        2000,
        "open connections of a worker; at most half of them have shown no identity",
        within=(10, 100_000),
    )
    largest_list: int = _serving.whole(
        "MAX_LIST_BYTES",
        LARGEST_LIST,
        "bytes of a page of builds; of a larger page, `data` of `customizations.files` is left out of the largest "
        "requests, and further customizations where that does not suffice",
        within=(2 * _MiB, 1024 * _MiB),
    )
    direct_threads: int = _serving.whole(
        "DIRECT_THREADS", 20, "threads of a worker for requests that wait for the database only", within=(1, 500)
    )
    waiting_threads: int = _serving.whole(
        "WAITING_THREADS", 80, "threads of a worker for requests that wait for back-ends", within=(1, 2000)
    )
    shutdown_grace: int = _serving.whole(
        "SHUTDOWN_GRACE",
        5,
        "seconds for which a service that got SIGTERM says that it is not ready, and still takes in requests",
        within=(0, 600),
    )
    shutdown_timeout: int = _serving.whole(
        "SHUTDOWN_TIMEOUT", 30, "seconds for which it finishes requests after that", within=(0, 3600)
    )
    platform_file: str = _serving.text(
        "ACG_CONFIG",
        "",
        "Clowder's file; what it says of database, port, endpoints, flags and rate limits comes before the variables",
    )

    pool_size: int = _database.whole("DB_POOL_SIZE", 20, "connections of a worker", within=(1, 500))

    composer_url: str = _composer.url("COMPOSER_URL", None, "the composer")
    composer_token_url: str = _composer.url("COMPOSER_TOKEN_URL", "", _TOKEN_URL)
    composer_client_id: str = _composer.text("COMPOSER_CLIENT_ID", "", _ID)
    composer_client_secret: str = _composer.text("COMPOSER_CLIENT_SECRET", "", _SECRET, secret=True)
    composer_ca: Path | None = _composer.file("COMPOSER_CA_PATH", "the only authorities trusted for an https composer")
    composer_reuse: float = _composer.number(
        "COMPOSER_REUSE",
        0.3,
        "seconds: a build is submitted on an open connection only if that was idle for less; must be shorter than the "
        "idle timeouts of the composer and of proxies in front of it; 0: always on a new connection",
        within=(0.0, 60.0),
    )

    distributions: Path = _builds.folder(
        "DISTRIBUTIONS_DIR",
        PROJECT / "distributions",
        "what can be built: a folder each, so adding a distribution is adding a folder",
        shown_default="the one that comes with the service",
    )
    quota_file: Path | None = _builds.file(
        "QUOTA_FILE", "who may build how much; unset: unlimited. Changes are picked up while running"
    )
    allow_file: Path | None = _builds.file("ALLOW_FILE", "who may build restricted distributions; unset: nobody")
    aws_region: str = _builds.text("OSBUILD_AWS_REGION", "", "where AWS images are uploaded to")
    gcp_region: str = _builds.text("OSBUILD_GCP_REGION", "", "where Google Cloud images are uploaded to")
    gcp_bucket: str = _builds.text("OSBUILD_GCP_BUCKET", "", "the bucket they go by")
    compose_deadline: float = _builds.number(
        "COMPOSE_DEADLINE", 30.0, "seconds for the look-ups and the submission of one build", within=(1.0, 600.0)
    )
    start_lease: timedelta = _builds.seconds(
        "START_LEASE",
        300.0,
        "after so many seconds a start is taken to have been cut short; not less than COMPOSE_DEADLINE, and better a "
        "minute more, because a build is recorded, or cancelled, after it",
        within=(1.0, 86_400.0),
    )
    reconcile_interval: timedelta = _builds.seconds(
        "RECONCILE_INTERVAL", 60.0, "seconds between two looks at starts that were cut short", within=(0.1, 3600.0)
    )
    own_fingerprint_secret: str = _builds.text(
        "FINGERPRINT_SECRET",
        "",
        "the same in all pods: what requests are recognized by is made with it; unset: `COMPOSER_CLIENT_SECRET`, "
        "else `PGPASSWORD`",
        secret=True,
    )
    insights_client_proxy: str = _builds.text("INSIGHTS_CLIENT_PROXY", "", "given to machines that are registered")
    patch_url: str = _builds.url("PATCH_URL", "", "given to machines that are registered")

    content_sources_url: str = _content.url("CONTENT_SOURCES_URL", "", "who knows repositories and their snapshots")
    content_repo_url: str = _content.url(
        "CONTENT_SOURCES_REPO_URL", "", "where builds read snapshots; without it, content sources are not set up"
    )
    content_repo_prefix: str = _content.text(
        "CONTENT_SOURCES_REPO_PREFIX", "", "the path there of snapshots by date and of templates"
    )

    provisioning_url: str = _customers.url(
        "PROVISIONING_URL", "", "who knows customers' cloud accounts, for `share_with_sources`"
    )
    compliance_url: str = _customers.url("COMPLIANCE_URL", "", "who keeps compliance policies")

    recommendations_url: str = _recommendations.url("RECOMMENDATIONS_URL", "", "who knows which packages go together")
    recommendations_token_url: str = _recommendations.url("RECOMMENDATIONS_TOKEN_URL", "", _TOKEN_URL)
    recommendations_client_id: str = _recommendations.text("RECOMMENDATIONS_CLIENT_ID", "", _ID)
    recommendations_client_secret: str = _recommendations.text(
        "RECOMMENDATIONS_CLIENT_SECRET", "", _SECRET, secret=True
    )
    recommendations_proxy: str = _recommendations.url(
        "RECOMMENDATIONS_PROXY", "", "the proxy on the way to both of them", secret=True
    )
    recommendations_ca: Path | None = _recommendations.file(
        "RECOMMENDATIONS_CA_PATH", "the only authorities trusted for both of them"
    )

    unleash_url: str = _features.url("UNLEASH_URL", "", "such as `https://unleash.example.com/api`")
    unleash_token: str = _features.text("UNLEASH_TOKEN", "", "the client's token there", secret=True)

    rate_limited: bool = _rates.truth("RATE_LIMITS", True, "there are any")
    # The console asks for each row it shows every 8 s: eight tabs, or as many colleagues, with a hundred builds each.
    rate_of_reads: int = _rates.whole("RATE_LIMIT_READS", 6000, "requests that read", within=(1, 10**6))
    rate_of_writes: int = _rates.whole("RATE_LIMIT_WRITES", 600, "requests that change something", within=(1, 10**6))
    rate_of_builds: int = _rates.whole(
        "RATE_LIMIT_BUILDS", 300, "builds that are started, one for each image", within=(1, 10**6)
    )
    rate_window: int = _rates.whole(
        "RATE_LIMIT_WINDOW", 60, "the seconds in which there may be as many", within=(1, 3600)
    )
    rate_storage_url: str = _rates.url(
        "RATE_LIMIT_STORAGE_URL",
        "",
        "where all processes count together; unset: each counts for itself",
        secret=True,
        schemes="redis rediss valkey valkeys",
    )
    rate_storage_patience: timedelta = _rates.seconds(
        "RATE_LIMIT_STORAGE_TIMEOUT", 0.1, "seconds after which requests pass uncounted", within=(0.001, 10.0)
    )

    log_level: str = _telemetry.choice(
        "LOG_LEVEL", "INFO", "the least that is logged; `TRACE` is `DEBUG`", of=tuple(LEVELS), any_case=True
    )

    otlp_endpoint: str = _telemetry.url(
        "OTEL_EXPORTER_OTLP_ENDPOINT", "", "a collector of traces, by OTLP over HTTP; they go to `/v1/traces` below it"
    )
    otlp_headers: str = _telemetry.text(
        "OTEL_EXPORTER_OTLP_HEADERS", "", "what goes along to it: `name=value,name=value`", secret=True
    )
    glitchtip_dsn: str = _telemetry.dsn(
        "GLITCHTIP_DSN", "where unforeseen errors are reported to, with traceback and nothing of the request"
    )
    sentry_dsn: str = _telemetry.dsn("SENTRY_DSN", "the same, where there is no `GLITCHTIP_DSN`")

    splunk_host: str = _sinks.text("SPLUNK_HEC_HOST", "", "Splunk")
    splunk_port: str = _sinks.text("SPLUNK_HEC_PORT", "", "Splunk")
    splunk_token: str = _sinks.text("SPLUNK_HEC_TOKEN", "", "Splunk", secret=True)
    cloudwatch_region: str = _sinks.text("CW_AWS_REGION", "", "CloudWatch")
    cloudwatch_key: str = _sinks.text("CW_AWS_ACCESS_KEY_ID", "", "CloudWatch", secret=True)
    cloudwatch_secret: str = _sinks.text("CW_AWS_SECRET_ACCESS_KEY", "", "CloudWatch", secret=True)
    cloudwatch_group: str = _sinks.text("CW_LOG_GROUP", "", "CloudWatch")

    build_commit: str = _about.text("BUILD_COMMIT", "", "shown by `/version`")
    build_time: str = _about.text("BUILD_TIME", "", "shown by `/version`")

    @staticmethod
    def faults(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """What is wrong with variables together."""
        lease, deadline = values.get("start_lease"), values.get("compose_deadline")
        if lease is not None and deadline is not None and lease.total_seconds() < deadline:
            yield "START_LEASE", "must not be shorter than COMPOSE_DEADLINE: starts are still worked at"

    @property
    def host(self) -> str:
        """The address that is served; empty for all of them."""
        return self.listen_address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port that is served."""
        return int(self.listen_address.rpartition(":")[2])

    @property
    def base_paths(self) -> tuple[str, str, str]:
        """Where every operation answers; the last is the public route."""
        own = f"/{self.path_prefix}/{self.app_name}"
        return f"{own}/v1", f"{own}/v1.0", "/api/v1/image-builder"

    @property
    def composer(self) -> BackEndSettings:
        """The back-end that has to be there."""
        return BackEndSettings(
            self.composer_url,
            self.composer_token_url,
            self.composer_client_id,
            self.composer_client_secret,
            str(self.composer_ca or ""),
        )

    @property
    def recommendations(self) -> BackEndSettings | None:
        """None where there are none."""
        if not self.recommendations_url:
            return None
        return BackEndSettings(
            self.recommendations_url,
            self.recommendations_token_url,
            self.recommendations_client_id,
            self.recommendations_client_secret,
            str(self.recommendations_ca or ""),
            self.recommendations_proxy,
        )

    @property
    def unleash(self) -> UnleashSettings | None:
        """None where all flags are on."""
        return UnleashSettings(self.unleash_url, self.unleash_token) if self.unleash_url else None

    @property
    def rate_limits(self) -> RateLimitSettings | None:
        """None where nothing is limited."""
        if not self.rate_limited:
            return None
        amounts = {
            Budget.READS: self.rate_of_reads,
            Budget.WRITES: self.rate_of_writes,
            Budget.BUILD_REQUESTS: self.rate_of_builds,
        }
        return RateLimitSettings(amounts, self.rate_window, self.rate_storage_url, self.rate_storage_patience)

    @property
    def fingerprint_secret(self) -> str:
        """What requests are recognized by is made with it."""
        return self.own_fingerprint_secret or self.composer_client_secret or self.pg_password

    @property
    def upload(self) -> UploadSettings:
        """Where images go."""
        return UploadSettings(self.aws_region, self.gcp_region, self.gcp_bucket)

    @property
    def content(self) -> ContentSettings:
        """Where builds read content."""
        return ContentSettings(
            self.content_repo_url, self.content_repo_prefix, self.insights_client_proxy, self.patch_url
        )

    @property
    def known_content(self) -> str:
        """Where content sources are asked; empty where they are not: nothing they tell of could be read.

        That is no error: under Clowder they appear without being asked for.
        """
        return self.content_sources_url if self.content_repo_url else ""

    @property
    def not_served(self) -> tuple[str, ...]:
        """Names of variables that are set and do nothing."""
        sinks = [(each.name, field) for field, each in variables(Settings).items() if each.section is _sinks]
        alone = ["CONTENT_SOURCES_URL"] if self.content_sources_url != self.known_content else []
        return (*(name for name, field in sinks if getattr(self, field)), *alone)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceSettings(DatabaseSettings):
    """Whether and how `maintenance` works."""

    enabled: bool = _maintenance.truth("ENABLE_DB_MAINTENANCE", False, "it does something at all")
    dry_run: bool = _maintenance.truth("DRY_RUN", True, "it only counts")
    # None at all would remove everything; a thousand years are enough for ever.
    retention_months: int = _maintenance.whole(
        "DB_COMPOSES_RETENTION_MONTHS", 24, "calendar months (UTC) for which composes are kept", within=(1, 12_000)
    )


Read = TypeVar("Read", bound=Declared)
ALL: Final = {each.name: each for declared in (Settings, MaintenanceSettings) for each in variables(declared).values()}


def from_environment() -> Settings:
    """The settings of the environment and a `local.env` in the working directory; the environment wins.

    An empty variable counts as unset. Raises ConfigurationError that says of every variable that cannot be used why.
    """
    return _read(Settings)


def embedded_wanted() -> bool:
    """What IMAGE_BUILDER_EMBEDDED says, before anything else is known; False where that cannot be used."""
    return bool(look(Settings, environment().values)[0].get("embedded", False))


def database_parameters() -> Mapping[str, Any]:
    """What `migrate` needs of the environment. Raises ConfigurationError."""
    return _read(DatabaseSettings).database


def maintenance_settings() -> MaintenanceSettings:
    """What `maintenance` needs of the environment. Raises ConfigurationError that names all that cannot be used."""
    return _read(MaintenanceSettings)


def _read(declared: type[Read]) -> Read:
    found = environment()
    values, faults = look(declared, found.values)
    faults = {**found.faults, **faults}
    if faults:
        raise ConfigurationError(told(faults))
    hand_on(frozenset(ALL))
    hide(secrets(declared, found.values))
    return declared(**values)
