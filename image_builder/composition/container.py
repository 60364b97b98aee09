"""The objects of one process, each made once, when it is first used.

Each provider calls one typed factory, which takes the container and asks it for what it needs. The annotations let the
type checker prove that each adapter fulfils its port. The order follows the layers: adapters, use cases, controllers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Dependency, Object, Provider, Self, ThreadSafeSingleton

from adapters.postgres.connection import PostgresDatabase
from domain.distributions import Catalogue
from domain.profiles import Profiles
from image_builder.composition import adapters, controllers, use_cases
from image_builder.composition.back_ends import BackEnds
from image_builder.configuration.settings import Settings
from image_builder.fair_threads import FairThreads
from image_builder.http.artifacts import ArtifactsController
from image_builder.http.auth import Authenticate
from image_builder.http.blueprints import BlueprintsController
from image_builder.http.call import Route
from image_builder.http.composes import ComposesController
from image_builder.http.contract import Contract
from image_builder.http.distributions import DistributionsController
from image_builder.http.features import FeaturesController
from image_builder.http.limiter import Limiter
from image_builder.http.long_poll import StatusChanges
from image_builder.http.meta import MetaController
from image_builder.http.oscap import OscapController
from image_builder.http.packages import PackagesController
from image_builder.http.quota import QuotaController
from image_builder.telemetry.metrics import Metrics
from image_builder.telemetry.sampler import Sampler
from image_builder.telemetry.tracing import Tracing
from image_builder.telemetry.workers import MetricsSlot
from image_builder.usecases.blueprints import ManageBlueprints
from image_builder.usecases.complete_cancellations import CompleteCancellations
from image_builder.usecases.compose import StartComposes
from image_builder.usecases.idempotent_requests import IdempotentRequests
from image_builder.usecases.looks import LookAtBuilds
from image_builder.usecases.passwords import HashPasswords
from image_builder.usecases.readiness import Probe
from image_builder.usecases.reconcile import ReconcileStarts
from image_builder.usecases.record import RecordBuilds
from image_builder.usecases.requirements import PolicyRequirements
from image_builder.usecases.watch import StatusWatcher
from ports.cancellations import Cancellations
from ports.features import FeatureFlags
from ports.fingerprints import Fingerprints
from ports.packages import PackageLists
from ports.quotas import Quotas
from ports.rate_limits import RateLimits
from ports.sboms import Sboms
from ports.statuses import Statuses
from ports.store import AbandonedStarts, Blueprints, Composes, IdempotencyKeys, Starts


class Container(DeclarativeContainer):
    """The objects of one process. `Container(settings=…)` makes an empty one."""

    if TYPE_CHECKING:
        # The base class answers any name: without this, mypy would accept misspelt providers.
        __getattr__: None  # type: ignore[misc, assignment]

    __self__ = Self()
    settings: Provider[Settings] = Dependency(instance_of=Settings)
    # Where this process keeps its metrics if it is one of several worker processes.
    metrics_slot: Provider[MetricsSlot | None] = Object(None)

    # The contract, and what the distribution directory holds.
    catalogue: Provider[Catalogue] = ThreadSafeSingleton(adapters.create_catalogue, __self__)
    contract: Provider[Contract] = ThreadSafeSingleton(adapters.create_contract, __self__)
    profiles: Provider[Profiles] = ThreadSafeSingleton(adapters.create_profiles, __self__)
    package_lists: Provider[PackageLists] = ThreadSafeSingleton(adapters.create_package_lists, __self__)

    # Adapters.
    metrics: Provider[Metrics] = ThreadSafeSingleton(adapters.create_metrics, __self__)
    tracing: Provider[Tracing] = ThreadSafeSingleton(adapters.create_tracing, __self__)
    database: Provider[PostgresDatabase] = ThreadSafeSingleton(adapters.create_database, __self__)
    composes: Provider[Composes] = ThreadSafeSingleton(adapters.create_composes, __self__)
    sboms: Provider[Sboms] = ThreadSafeSingleton(adapters.create_sboms, __self__)
    blueprints: Provider[Blueprints] = ThreadSafeSingleton(adapters.create_blueprints, __self__)
    starts: Provider[Starts] = ThreadSafeSingleton(adapters.create_starts, __self__)
    abandoned_starts: Provider[AbandonedStarts] = ThreadSafeSingleton(adapters.create_abandoned_starts, __self__)
    cancellations: Provider[Cancellations] = ThreadSafeSingleton(adapters.create_cancellations, __self__)
    statuses: Provider[Statuses] = ThreadSafeSingleton(adapters.create_statuses, __self__)
    idempotency_keys: Provider[IdempotencyKeys] = ThreadSafeSingleton(adapters.create_idempotency_keys, __self__)
    back_ends: Provider[BackEnds] = ThreadSafeSingleton(adapters.create_back_ends, __self__)
    feature_flags: Provider[FeatureFlags] = ThreadSafeSingleton(adapters.create_feature_flags, __self__)
    quotas: Provider[Quotas] = ThreadSafeSingleton(adapters.create_quotas, __self__)
    rate_limits: Provider[RateLimits] = ThreadSafeSingleton(adapters.create_rate_limits, __self__)
    fingerprints: Provider[Fingerprints] = ThreadSafeSingleton(adapters.create_fingerprints, __self__)
    sampler: Provider[Sampler] = ThreadSafeSingleton(adapters.create_sampler, __self__)
    lookup_threads: Provider[FairThreads] = ThreadSafeSingleton(adapters.create_lookup_threads, __self__)
    image_threads: Provider[FairThreads] = ThreadSafeSingleton(adapters.create_image_threads, __self__)
    hash_threads: Provider[FairThreads] = ThreadSafeSingleton(adapters.create_hash_threads, __self__)

    # Use cases that several others, or the service itself, need.
    database_probe: Provider[Probe] = ThreadSafeSingleton(use_cases.create_database_probe, __self__)
    hash_passwords: Provider[HashPasswords] = ThreadSafeSingleton(use_cases.create_hash_passwords, __self__)
    idempotent_requests: Provider[IdempotentRequests] = ThreadSafeSingleton(
        use_cases.create_idempotent_requests, __self__
    )
    record: Provider[RecordBuilds] = ThreadSafeSingleton(use_cases.create_record, __self__)
    start_composes: Provider[StartComposes] = ThreadSafeSingleton(use_cases.create_start_composes, __self__)
    look_at_builds: Provider[LookAtBuilds] = ThreadSafeSingleton(use_cases.create_look_at_builds, __self__)
    complete_cancellations: Provider[CompleteCancellations] = ThreadSafeSingleton(
        use_cases.create_complete_cancellations, __self__
    )
    reconcile: Provider[ReconcileStarts] = ThreadSafeSingleton(use_cases.create_reconcile, __self__)
    watch: Provider[StatusWatcher] = ThreadSafeSingleton(use_cases.create_watch, __self__)
    policy_requirements: Provider[PolicyRequirements] = ThreadSafeSingleton(
        use_cases.create_policy_requirements, __self__
    )
    manage_blueprints: Provider[ManageBlueprints] = ThreadSafeSingleton(use_cases.create_manage_blueprints, __self__)

    # Controllers, and what stands before them.
    meta_controller: Provider[MetaController] = ThreadSafeSingleton(controllers.create_meta, __self__)
    distributions_controller: Provider[DistributionsController] = ThreadSafeSingleton(
        controllers.create_distributions, __self__
    )
    packages_controller: Provider[PackagesController] = ThreadSafeSingleton(controllers.create_packages, __self__)
    composes_controller: Provider[ComposesController] = ThreadSafeSingleton(controllers.create_composes, __self__)
    artifacts_controller: Provider[ArtifactsController] = ThreadSafeSingleton(controllers.create_artifacts, __self__)
    blueprints_controller: Provider[BlueprintsController] = ThreadSafeSingleton(controllers.create_blueprints, __self__)
    quota_controller: Provider[QuotaController] = ThreadSafeSingleton(controllers.create_quota, __self__)
    features_controller: Provider[FeaturesController] = ThreadSafeSingleton(controllers.create_features, __self__)
    oscap_controller: Provider[OscapController] = ThreadSafeSingleton(controllers.create_oscap, __self__)
    routes: Provider[Mapping[str, Route]] = ThreadSafeSingleton(controllers.create_routes, __self__)
    status_changes: Provider[StatusChanges] = ThreadSafeSingleton(controllers.create_status_changes, __self__)
    authenticate: Provider[Authenticate] = ThreadSafeSingleton(controllers.create_authenticate, __self__)
    limiter: Provider[Limiter] = ThreadSafeSingleton(controllers.create_limiter, __self__)
