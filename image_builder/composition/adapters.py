"""Factories of adapters: each takes the container, and returns what fulfils one port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.features import EnabledFeatureFlags
from adapters.files.distributions import load_allow_list, load_distributions
from adapters.files.package_lists import FilePackageLists, index_package_lists
from adapters.files.profiles import load_profiles
from adapters.files.quotas import FileQuotas, UnlimitedQuotas
from adapters.fingerprints import HmacFingerprints
from adapters.postgres.abandoned_starts import PostgresAbandonedStarts
from adapters.postgres.blueprints import PostgresBlueprints
from adapters.postgres.cancellations import PostgresCancellations
from adapters.postgres.composes import PostgresComposes
from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.idempotency import PostgresIdempotencyKeys
from adapters.postgres.sboms import PostgresSboms
from adapters.postgres.starts import PostgresStarts
from adapters.postgres.statuses import PostgresStatuses
from adapters.rate_limits import UnlimitedRequests
from domain.distributions import Catalogue
from domain.profiles import Profiles
from image_builder.composition.back_ends import BackEnds, connect_back_ends
from image_builder.configuration.settings import Settings
from image_builder.fair_threads import FairThreads
from image_builder.http.auth import identity_header
from image_builder.http.contract import CUSTOMIZATIONS, Contract
from image_builder.telemetry.metrics import Metrics
from image_builder.telemetry.sampler import Sampler
from image_builder.telemetry.tracing import Tracing
from ports.cancellations import Cancellations
from ports.features import FeatureFlags
from ports.fingerprints import Fingerprints
from ports.packages import PackageLists
from ports.quotas import Quotas
from ports.rate_limits import RateLimits
from ports.sboms import Sboms
from ports.statuses import Statuses
from ports.store import AbandonedStarts, Blueprints, Composes, IdempotencyKeys, Starts

if TYPE_CHECKING:
    from image_builder.composition.container import Container


def create_catalogue(container: Container) -> Catalogue:
    """The distribution directory. Raises ConfigurationError."""
    builds = container.settings().builds
    return Catalogue(load_distributions(builds.distributions), load_allow_list(builds.allow_file))


def create_contract(container: Container) -> Contract:
    """openapi.yaml, as this process serves it."""
    serving, catalogue = container.settings().serving, container.catalogue()
    return Contract(
        catalogue.names, catalogue.profiles, serving.base_paths, identity_header(fedora_accounts=serving.fedora_auth)
    )


def create_profiles(container: Container) -> Profiles:
    """The OpenSCAP profiles of the distribution directory. Raises ConfigurationError."""
    catalogue = container.catalogue()
    accept = container.contract().checker(CUSTOMIZATIONS).accept
    directory = container.settings().builds.distributions
    return Profiles(catalogue, load_profiles(directory, catalogue.distributions, accept))


def create_package_lists(container: Container) -> PackageLists:
    """The package lists of the distribution directory, indexed. Raises ConfigurationError."""
    return index_packages(container.settings())


def index_packages(settings: Settings) -> FilePackageLists:
    """The same for the parent of several worker processes, which hands them to its workers."""
    return index_package_lists(settings.builds.distributions, load_distributions(settings.builds.distributions))


def create_metrics(container: Container) -> Metrics:
    """The metrics of this process, or of all workers."""
    templates = {operation.path for operation in container.contract().operations.values()}
    return Metrics(templates, container.metrics_slot())


def create_tracing(container: Container) -> Tracing:
    """Traces, if a collector is set."""
    settings = container.settings()
    return Tracing(settings.telemetry.otlp_endpoint, settings.telemetry.otlp_headers, settings.build_info.commit)


def create_database(container: Container) -> PostgresDatabase:
    """The connection pool, not yet open."""
    settings = container.settings()
    return PostgresDatabase(settings.database.parameters, size=settings.serving.pool_size)


def create_composes(container: Container) -> Composes:
    """The history of builds."""
    return PostgresComposes(container.database(), container.settings().serving.max_list_bytes)


def create_sboms(container: Container) -> Sboms:
    """Bills of materials of builds."""
    return PostgresSboms(container.database())


def create_blueprints(container: Container) -> Blueprints:
    """Blueprints and their versions."""
    return PostgresBlueprints(container.database())


def create_starts(container: Container) -> Starts:
    """Reservations of the quota, and what becomes of them."""
    return PostgresStarts(container.database())


def create_abandoned_starts(container: Container) -> AbandonedStarts:
    """Starts that a crash or an unknown outcome left behind."""
    return PostgresAbandonedStarts(container.database())


def create_cancellations(container: Container) -> Cancellations:
    """Intents to cancel builds."""
    return PostgresCancellations(container.database())


def create_statuses(container: Container) -> Statuses:
    """Statuses that are known without asking the composer."""
    return PostgresStatuses(container.database())


def create_idempotency_keys(container: Container) -> IdempotencyKeys:
    """Idempotency keys and their answers."""
    return PostgresIdempotencyKeys(container.database())


def create_back_ends(container: Container) -> BackEnds:
    """The back-ends that are asked over HTTP."""
    return connect_back_ends(container.settings(), container.metrics())


def create_feature_flags(container: Container) -> FeatureFlags:
    """Unleash, or all flags on where it is not set."""
    settings = container.settings().feature_flags
    if not settings.url:
        return EnabledFeatureFlags()
    # Imported here: it takes a quarter of a second, which a start without Unleash need not spend.
    from adapters.features.unleash import UnleashFeatureFlags  # noqa: PLC0415

    return UnleashFeatureFlags(settings.url, settings.token, meter=container.metrics())


def create_quotas(container: Container) -> Quotas:
    """The quota file, or no quotas where it is not set. Raises ConfigurationError."""
    quota_file = container.settings().builds.quota_file
    return UnlimitedQuotas() if quota_file is None else FileQuotas(quota_file)


def create_rate_limits(container: Container) -> RateLimits:
    """Rate limits in this process' memory or in a shared storage, or none where they are off."""
    settings = container.settings().rate_limits
    if not settings.enabled:
        return UnlimitedRequests()
    # Imported here: the libraries take time that a start without them need not spend.
    if not settings.storage_url:
        from adapters.rate_limits.memory import InMemoryRateLimits  # noqa: PLC0415

        return InMemoryRateLimits(settings.amounts, settings.window)
    from adapters.rate_limits.redis import RedisRateLimits  # noqa: PLC0415

    patience = settings.storage_timeout.total_seconds()
    meter = container.metrics()
    return RedisRateLimits(settings.storage_url, settings.amounts, settings.window, meter, patience=patience)


def create_fingerprints(container: Container) -> Fingerprints:
    """Fingerprints of requests, keyed with a secret that all pods share."""
    return HmacFingerprints(container.settings().fingerprint_secret)


def create_sampler(container: Container) -> Sampler:
    """Metrics of connection pool and circuit breakers."""
    breakers = {back_end.name: back_end.breaker for back_end in container.back_ends().used}
    return Sampler(container.metrics(), container.database().pool_usage, breakers)


def create_lookup_threads(container: Container) -> FairThreads:
    """Threads for look-ups: two for each request that waits, since a request's first look-up runs on its own thread."""
    return FairThreads(container.settings().serving.waiting_threads * 2, "lookup")


def create_image_threads(container: Container) -> FairThreads:
    """Threads for all images of a blueprint but the first; not those of the look-ups, for which images wait."""
    return FairThreads(container.settings().serving.waiting_threads, "image")


def create_hash_threads(_container: Container) -> FairThreads:
    """Threads for password hashes: two, one of each organization, since a hash computes for milliseconds."""
    return FairThreads(2, "hash")
