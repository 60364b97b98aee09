"""What is made of what. Nobody else names an adapter, but for the back-ends' own module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dependency_injector import containers, providers

from adapters.crypt import sha512_crypt_hash
from adapters.features import AlwaysOn
from adapters.files.distributions import load_allow_list, load_distributions
from adapters.files.package_lists import FilePackageLists, index_package_lists
from adapters.files.profiles import load_profiles
from adapters.files.quotas import FileQuotas, Unlimited
from adapters.fingerprints import HmacFingerprints
from adapters.postgres.blueprints import PostgresBlueprints
from adapters.postgres.composes import PostgresComposes
from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.idempotency import PostgresIdempotencyKeys
from adapters.postgres.left_starts import PostgresLeftStarts
from adapters.postgres.starts import PostgresStarts
from adapters.rate_limits import NoLimits
from domain.distributions import Catalogue
from domain.profiles import Profiles
from image_builder.back_ends import BackEnds, back_ends
from image_builder.fair_threads import FairThreads
from image_builder.http.auth import authenticator, identity_header
from image_builder.http.blueprints import BlueprintsController
from image_builder.http.bounds import bounds
from image_builder.http.call import Lane, Route
from image_builder.http.composes import ComposesController
from image_builder.http.contract import CUSTOMIZATIONS, Contract
from image_builder.http.distributions import DistributionsController
from image_builder.http.features import FeaturesController
from image_builder.http.limiter import Limiter
from image_builder.http.meta import Build, MetaController
from image_builder.http.oscap import OscapController
from image_builder.http.packages import PackagesController
from image_builder.http.quota import QuotaController
from image_builder.settings import RateLimitSettings, Settings, UnleashSettings
from image_builder.telemetry.metrics import Metrics
from image_builder.telemetry.sampler import Sampler
from image_builder.telemetry.tracing import Tracing
from image_builder.telemetry.workers import MetricsSlot
from image_builder.usecases.blueprints import KeepBlueprints
from image_builder.usecases.build_blueprint import BuildBlueprint
from image_builder.usecases.compose import StartComposes
from image_builder.usecases.composes import WatchComposes
from image_builder.usecases.distributions import DescribeDistribution
from image_builder.usecases.export import ExportBlueprint
from image_builder.usecases.features import OptionalBackEnds, TellFeatures
from image_builder.usecases.gather import Gather
from image_builder.usecases.once import Once
from image_builder.usecases.orphans import CancelOrphans
from image_builder.usecases.packages import SearchPackages
from image_builder.usecases.passwords import HashPasswords
from image_builder.usecases.policies import PolicyRequirements, ShowPolicy
from image_builder.usecases.prepare import Prepare
from image_builder.usecases.quota import TellQuota
from image_builder.usecases.readiness import Probe
from image_builder.usecases.recommendations import RecommendPackages
from image_builder.usecases.reconcile import ReconcileStarts
from image_builder.usecases.record import RecordBuilds
from ports.meter import Meter
from ports.rate_limits import RateLimits
from ports.world import Quotas

if TYPE_CHECKING:
    from adapters.features.unleash import UnleashFeatures


def _catalogue(settings: Settings) -> Catalogue:
    return Catalogue(load_distributions(settings.distributions), load_allow_list(settings.allow_file))


def package_lists(settings: Settings) -> FilePackageLists:
    """The package lists of the distribution directory, indexed. Raises ConfigurationError."""
    return index_package_lists(settings.distributions, load_distributions(settings.distributions))


def _profiles(settings: Settings, catalogue: Catalogue, contract: Contract) -> Profiles:
    accept = contract.checker(CUSTOMIZATIONS).accept
    return Profiles(catalogue, load_profiles(settings.distributions, catalogue.distributions, accept))


def _quotas(settings: Settings) -> Quotas:
    return Unlimited() if settings.quota_file is None else FileQuotas(settings.quota_file)


def _features(settings: UnleashSettings | None, meter: Meter) -> AlwaysOn | UnleashFeatures:
    if settings is None:
        return AlwaysOn()
    # Here, because it takes a quarter of a second that a start without Unleash need not take.
    from adapters.features.unleash import UnleashFeatures  # noqa: PLC0415

    return UnleashFeatures(settings.url, settings.token, meter=meter)


def _rate_limits(settings: RateLimitSettings | None, meter: Meter) -> RateLimits:
    if settings is None:
        return NoLimits()
    # Here, because the libraries take a while that a start without them need not take.
    if not settings.storage_url:
        from adapters.rate_limits.memory import MemoryLimits  # noqa: PLC0415

        return MemoryLimits(settings.amounts, settings.window)
    from adapters.rate_limits.redis import SharedLimits  # noqa: PLC0415

    patience = settings.patience.total_seconds()
    return SharedLimits(settings.storage_url, settings.amounts, settings.window, meter, patience=patience)


def _optional_back_ends(there: BackEnds, settings: Settings) -> OptionalBackEnds:
    return OptionalBackEnds(
        content_sources=there.content_sources is not None,
        provisioning=there.provisioning is not None,
        compliance=there.compliance is not None,
        recommendations=there.recommendations is not None,
        feature_flags=settings.unleash is not None,
    )


def _lookup_threads(settings: Settings) -> FairThreads:
    # Two for each request that may wait: the first look-up of each runs on the request's own thread.
    return FairThreads(settings.waiting_threads * 2, "lookup")


def _image_threads(settings: Settings) -> FairThreads:
    # For the images of a blueprint but the first; apart from the look-ups, which they wait for.
    return FairThreads(settings.waiting_threads, "image")


def _completed(contract: Contract) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    return contract.checker("ComposeRequest").accept


def _metrics(contract: Contract, slot: MetricsSlot | None) -> Metrics:
    return Metrics({operation.path for operation in contract.operations.values()}, slot)


def _sampler(metrics: Metrics, database: PostgresDatabase, back_ends: BackEnds) -> Sampler:
    return Sampler(metrics, database.use, {back_end.name: back_end.breaker for back_end in back_ends.used})


def _reconciler_term(settings: Settings) -> timedelta:
    # A pod that lives comes back in time, one that died is not missed for long.
    return max(3 * settings.reconcile_interval, timedelta(seconds=1))


def _now() -> datetime:
    return datetime.now(UTC)


def _routes(
    meta: MetaController,
    distributions: DistributionsController,
    packages: PackagesController,
    composes: ComposesController,
    blueprints: BlueprintsController,
    quota: QuotaController,
    features: FeaturesController,
    oscap: OscapController,
) -> Mapping[str, Route]:
    return {
        "getVersion": Route(meta.version),
        "getReadiness": Route(meta.ready, Lane.WAITING),
        "getOpenapiJson": Route(meta.openapi),
        "getDistributions": Route(distributions.list),
        "getDistribution": Route(distributions.get, Lane.WAITING),
        "getArchitectures": Route(distributions.architectures),
        "getFeatures": Route(features.get, Lane.WAITING, rarely_waits=True),
        "getQuota": Route(quota.get),
        "getPackages": Route(packages.search, Lane.WAITING, rarely_waits=True),
        "recommendPackage": Route(packages.recommend, Lane.WAITING),
        "composeImage": Route(composes.create, Lane.WAITING),
        "getComposes": Route(composes.list),
        "getComposeStatus": Route(composes.status, Lane.WAITING, rarely_waits=True),
        "getComposeMetadata": Route(composes.metadata, Lane.WAITING, rarely_waits=True),
        "deleteCompose": Route(composes.delete),
        "getBlueprints": Route(blueprints.list),
        "createBlueprint": Route(blueprints.create, Lane.WAITING, rarely_waits=True),
        "getBlueprint": Route(blueprints.get, Lane.WAITING, rarely_waits=True),
        "updateBlueprint": Route(
            blueprints.update, Lane.WAITING, rarely_waits=True, memory_besides=blueprints.memory_to_update
        ),
        "deleteBlueprint": Route(blueprints.delete),
        "exportBlueprint": Route(blueprints.export, Lane.WAITING, rarely_waits=True),
        "composeBlueprint": Route(composes.create_of_blueprint, Lane.WAITING),
        "getBlueprintComposes": Route(composes.list_of_blueprint),
        "fixupBlueprint": Route(blueprints.fixup, Lane.WAITING, rarely_waits=True),
        "getOscapProfiles": Route(oscap.profiles_of),
        "getOscapCustomizations": Route(oscap.customizations),
        "getOscapCustomizationsForPolicy": Route(oscap.policy_customizations, Lane.WAITING),
    }


class Container(containers.DeclarativeContainer):
    """One process' objects, each made once, when it is first asked for."""

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)

    # Where one of several worker processes keeps its metrics.
    slot: providers.Object[MetricsSlot | None] = providers.Object(None)
    catalogue = providers.ThreadSafeSingleton(_catalogue, settings)
    contract = providers.ThreadSafeSingleton(
        Contract,
        catalogue.provided.names,
        catalogue.provided.profiles,
        settings.provided.base_paths,
        providers.Factory(identity_header, fedora_accounts=settings.provided.fedora_auth),
    )
    metrics = providers.ThreadSafeSingleton(_metrics, contract, slot)
    tracing = providers.ThreadSafeSingleton(
        Tracing, settings.provided.otlp_endpoint, settings.provided.otlp_headers, settings.provided.build_commit
    )

    database = providers.ThreadSafeSingleton(
        PostgresDatabase, settings.provided.database, size=settings.provided.pool_size
    )
    back_ends = providers.ThreadSafeSingleton(back_ends, settings, metrics)
    lookup_threads = providers.ThreadSafeSingleton(_lookup_threads, settings)
    image_threads = providers.ThreadSafeSingleton(_image_threads, settings)
    features = providers.ThreadSafeSingleton(_features, settings.provided.unleash, metrics)
    package_lists = providers.ThreadSafeSingleton(package_lists, settings)
    sampler = providers.ThreadSafeSingleton(_sampler, metrics, database, back_ends)
    database_probe = providers.ThreadSafeSingleton(Probe, database.provided.check)
    # Two at a time in a process, one of each organization: a hash keeps the interpreter busy for milliseconds.
    hash_threads = providers.ThreadSafeSingleton(FairThreads, 2, "hash")
    hash_passwords = providers.ThreadSafeSingleton(HashPasswords, providers.Object(sha512_crypt_hash), hash_threads)
    base = settings.provided.base_paths[1]

    kept_composes = providers.ThreadSafeSingleton(PostgresComposes, database, settings.provided.largest_list)
    kept_blueprints = providers.ThreadSafeSingleton(PostgresBlueprints, database)

    quotas = providers.ThreadSafeSingleton(_quotas, settings)
    starts = providers.ThreadSafeSingleton(PostgresStarts, database)

    fingerprints = providers.ThreadSafeSingleton(HmacFingerprints, settings.provided.fingerprint_secret)
    keys = providers.ThreadSafeSingleton(PostgresIdempotencyKeys, database)
    once = providers.ThreadSafeSingleton(Once, keys, fingerprints)

    record = providers.ThreadSafeSingleton(
        RecordBuilds,
        starts,
        keys,
        providers.ThreadSafeSingleton(CancelOrphans, starts, back_ends.provided.composer, fingerprints),
        settings.provided.start_lease,
        metrics,
    )
    start_composes = providers.ThreadSafeSingleton(
        StartComposes,
        prepare=providers.ThreadSafeSingleton(
            Prepare,
            catalogue=catalogue,
            gather=providers.ThreadSafeSingleton(
                Gather,
                content_sources=back_ends.provided.content_sources,
                provisioning=back_ends.provided.provisioning,
                compliance=back_ends.provided.compliance,
                features=features,
                threads=lookup_threads,
            ),
            upload=settings.provided.upload,
            content=settings.provided.content,
        ),
        hash_passwords=hash_passwords,
        deadline=settings.provided.compose_deadline,
        quotas=quotas,
        starts=starts,
        record=record,
        composer=back_ends.provided.composer,
        threads=image_threads,
        fingerprints=fingerprints,
        meter=metrics,
    )
    reconcile = providers.ThreadSafeSingleton(
        ReconcileStarts,
        left=providers.ThreadSafeSingleton(PostgresLeftStarts, database),
        starts=starts,
        keys=keys,
        composer=back_ends.provided.composer_lookups,
        fingerprints=fingerprints,
        lease=settings.provided.start_lease,
        term=providers.Factory(_reconciler_term, settings),
        meter=metrics,
    )
    policy_requirements = providers.ThreadSafeSingleton(
        PolicyRequirements, compliance=back_ends.provided.compliance, threads=lookup_threads
    )
    keep_blueprints = providers.ThreadSafeSingleton(
        KeepBlueprints,
        blueprints=kept_blueprints,
        catalogue=catalogue,
        requirements=policy_requirements,
        hash_passwords=hash_passwords,
    )

    meta = providers.ThreadSafeSingleton(
        MetaController,
        contract=contract,
        build=providers.Factory(Build, settings.provided.build_commit, settings.provided.build_time),
        database=database_probe,
        composer=providers.ThreadSafeSingleton(Probe, back_ends.provided.composer.check),
    )
    distributions = providers.ThreadSafeSingleton(
        DistributionsController,
        catalogue=catalogue,
        describe=providers.ThreadSafeSingleton(DescribeDistribution, catalogue, back_ends.provided.composer_lookups),
    )
    search_packages = providers.ThreadSafeSingleton(
        SearchPackages, catalogue, package_lists, back_ends.provided.composer_lookups
    )
    packages = providers.ThreadSafeSingleton(
        PackagesController,
        find=search_packages,
        recommend_packages=providers.ThreadSafeSingleton(RecommendPackages, back_ends.provided.recommendations),
        base=base,
    )
    composes = providers.ThreadSafeSingleton(
        ComposesController,
        once=once,
        start=start_composes,
        build=providers.ThreadSafeSingleton(
            BuildBlueprint,
            blueprints=kept_blueprints,
            completed=providers.ThreadSafeSingleton(_completed, contract),
            start=start_composes,
        ),
        watch=providers.ThreadSafeSingleton(
            WatchComposes.over, kept_composes, kept_blueprints, back_ends.provided.composer
        ),
        base=base,
    )
    blueprints = providers.ThreadSafeSingleton(
        BlueprintsController,
        once=once,
        keep=keep_blueprints,
        hand_on=providers.ThreadSafeSingleton(
            ExportBlueprint,
            blueprints=kept_blueprints,
            content_sources=back_ends.provided.content_sources,
            clock=providers.Object(_now),
        ),
        base=base,
    )

    quota = providers.ThreadSafeSingleton(QuotaController, providers.ThreadSafeSingleton(TellQuota, quotas, starts))

    told_features = providers.ThreadSafeSingleton(
        FeaturesController,
        tell=providers.ThreadSafeSingleton(
            TellFeatures,
            catalogue=catalogue,
            back_ends=providers.ThreadSafeSingleton(_optional_back_ends, back_ends, settings),
            features=features,
        ),
        bounds=providers.ThreadSafeSingleton(bounds, contract),
        largest_body=settings.provided.largest_body,
    )

    oscap = providers.ThreadSafeSingleton(
        OscapController,
        profiles=providers.ThreadSafeSingleton(_profiles, settings, catalogue, contract),
        show_policy=providers.ThreadSafeSingleton(ShowPolicy, catalogue, policy_requirements),
    )

    routes = providers.ThreadSafeSingleton(
        _routes, meta, distributions, packages, composes, blueprints, quota, told_features, oscap
    )
    authenticate = providers.ThreadSafeSingleton(authenticator, fedora_accounts=settings.provided.fedora_auth)
    rate_limits = providers.ThreadSafeSingleton(_rate_limits, settings.provided.rate_limits, metrics)
    limiter = providers.ThreadSafeSingleton(Limiter, rate_limits, authenticate, metrics)
