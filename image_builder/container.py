"""What is made of what. Nobody else names an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

from dependency_injector import containers, providers

from adapters.crypt import sha512_crypt_hash
from adapters.features import AlwaysOn
from adapters.files.distributions import load_allow_list, load_distributions
from adapters.files.package_lists import FilePackageLists, index_package_lists
from adapters.files.quotas import FileQuotas, Unlimited
from adapters.http.client import BackEnd, new_session
from adapters.http.compliance import HttpCompliance
from adapters.http.composer import HttpComposer
from adapters.http.content_sources import HttpContentSources
from adapters.http.provisioning import HttpProvisioning
from adapters.http.tokens import Credentials, Tokens
from adapters.postgres.composes import PostgresComposes
from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.starts import PostgresStarts
from domain.distributions import Catalogue
from image_builder.http.auth import authenticator
from image_builder.http.call import Lane, Route
from image_builder.http.composes import ComposesController
from image_builder.http.contract import Contract
from image_builder.http.distributions import DistributionsController
from image_builder.http.meta import Build, MetaController
from image_builder.settings import ComposerSettings, Settings
from image_builder.telemetry.metrics import Metrics
from image_builder.usecases.compose import StartCompose
from image_builder.usecases.composes import WatchComposes
from image_builder.usecases.gather import Gather
from image_builder.usecases.packages import SearchPackages
from image_builder.usecases.readiness import Probe
from ports.features import Features
from ports.world import Quotas


def _catalogue(settings: Settings) -> Catalogue:
    return Catalogue(load_distributions(settings.distributions), load_allow_list(settings.allow_file))


def package_lists(settings: Settings) -> FilePackageLists:
    """The package lists of the distribution directory, indexed. Raises ConfigurationError."""
    return index_package_lists(settings.distributions, load_distributions(settings.distributions))


def _quotas(settings: Settings) -> Quotas:
    return Unlimited() if settings.quota_file is None else FileQuotas(settings.quota_file)


def _composer_back_end(settings: ComposerSettings, connections: int) -> BackEnd:
    tokens = None
    if settings.token_url:
        credentials = Credentials(settings.token_url, settings.client_id, settings.client_secret)
        tokens = Tokens(credentials, new_session(1))
    return BackEnd("composer", settings.url, connections=connections, tokens=tokens, ca_file=settings.ca_path or None)


@dataclass(frozen=True, slots=True)
class BackEnds:
    """Those that the service can do without, None where they are not set up."""

    content_sources: BackEnd | None
    provisioning: BackEnd | None
    compliance: BackEnd | None

    def close(self) -> None:
        """Drop their connections."""
        for back_end in (self.content_sources, self.provisioning, self.compliance):
            if back_end is not None:
                back_end.close()


def _optional_back_ends(settings: Settings) -> BackEnds:
    def made(name: str, url: str) -> BackEnd | None:
        return BackEnd(name, url, connections=settings.waiting_threads) if url else None

    return BackEnds(
        content_sources=made("content sources", settings.content_sources_url),
        provisioning=made("provisioning", settings.provisioning_url),
        compliance=made("compliance", settings.compliance_url),
    )


def _gather(back_ends: BackEnds, features: Features, threads: Executor) -> Gather:
    content_sources, provisioning, compliance = back_ends.content_sources, back_ends.provisioning, back_ends.compliance
    return Gather(
        content_sources=None if content_sources is None else HttpContentSources(content_sources),
        provisioning=None if provisioning is None else HttpProvisioning(provisioning),
        compliance=None if compliance is None else HttpCompliance(compliance),
        features=features,
        threads=threads,
    )


def _lookup_threads(settings: Settings) -> Executor:
    # Two for each request that may wait: the first look-up of each runs on the request's own thread.
    return ThreadPoolExecutor(settings.waiting_threads * 2, thread_name_prefix="lookup")


def _routes(
    meta: MetaController, distributions: DistributionsController, composes: ComposesController
) -> Mapping[str, Route]:
    return {
        "getVersion": Route(meta.version),
        "getReadiness": Route(meta.ready, Lane.WAITING),
        "getOpenapiJson": Route(meta.openapi),
        "getDistributions": Route(distributions.list),
        "getArchitectures": Route(distributions.architectures),
        "composeImage": Route(composes.create, Lane.WAITING),
        "getComposes": Route(composes.list),
        "getComposeStatus": Route(composes.status, Lane.WAITING),
        "getComposeMetadata": Route(composes.metadata, Lane.WAITING),
        "deleteCompose": Route(composes.delete),
    }


class Container(containers.DeclarativeContainer):
    """One process' objects, each made once, when it is first asked for."""

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)

    database = providers.ThreadSafeSingleton(
        PostgresDatabase, settings.provided.database, size=settings.provided.pool_size
    )
    composer_back_end = providers.ThreadSafeSingleton(
        _composer_back_end, settings.provided.composer, settings.provided.waiting_threads
    )
    composer = providers.ThreadSafeSingleton(HttpComposer, composer_back_end)
    back_ends = providers.ThreadSafeSingleton(_optional_back_ends, settings)
    lookup_threads = providers.ThreadSafeSingleton(_lookup_threads, settings)
    features = providers.ThreadSafeSingleton(AlwaysOn)
    catalogue = providers.ThreadSafeSingleton(_catalogue, settings)
    package_lists = providers.ThreadSafeSingleton(package_lists, settings)
    contract = providers.ThreadSafeSingleton(Contract, catalogue.provided.names, settings.provided.base_paths)
    metrics = providers.ThreadSafeSingleton(Metrics)
    database_probe = providers.ThreadSafeSingleton(Probe, database.provided.check)

    meta = providers.ThreadSafeSingleton(
        MetaController,
        contract=contract,
        build=providers.Factory(Build, settings.provided.build_commit, settings.provided.build_time),
        database=database_probe,
        composer=providers.ThreadSafeSingleton(Probe, composer.provided.check),
    )
    search_packages = providers.ThreadSafeSingleton(SearchPackages, catalogue, package_lists, composer)
    distributions = providers.ThreadSafeSingleton(DistributionsController, catalogue)
    composes = providers.ThreadSafeSingleton(
        ComposesController,
        start=providers.ThreadSafeSingleton(
            StartCompose,
            catalogue=catalogue,
            gather=providers.ThreadSafeSingleton(_gather, back_ends, features, lookup_threads),
            upload=settings.provided.upload,
            content=settings.provided.content,
            deadline=settings.provided.compose_deadline,
            quotas=providers.ThreadSafeSingleton(_quotas, settings),
            hasher=providers.Object(sha512_crypt_hash),
            starts=providers.ThreadSafeSingleton(PostgresStarts, database),
            composer=composer,
        ),
        watch=providers.ThreadSafeSingleton(
            WatchComposes, providers.ThreadSafeSingleton(PostgresComposes, database), composer
        ),
        base=settings.provided.base_paths[1],
    )

    routes = providers.ThreadSafeSingleton(_routes, meta, distributions, composes)
    authenticate = providers.ThreadSafeSingleton(authenticator, fedora_accounts=settings.provided.fedora_auth)
