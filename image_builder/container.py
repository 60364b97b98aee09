"""What is made of what. Nobody else names an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dependency_injector import containers, providers
from requests import Session

from adapters.crypt import sha512_crypt_hash
from adapters.features import AlwaysOn
from adapters.files.distributions import load_allow_list, load_distributions
from adapters.files.quotas import FileQuotas, Unlimited
from adapters.http.client import BackEnd, new_session
from adapters.http.compliance import HttpCompliance
from adapters.http.composer import HttpComposer
from adapters.http.content_sources import HttpContentSources
from adapters.http.provisioning import HttpProvisioning
from adapters.http.recommendations import HttpRecommendations
from adapters.http.tokens import Credentials, Tokens
from adapters.postgres.blueprints import PostgresBlueprints
from adapters.postgres.composes import PostgresComposes
from adapters.postgres.connection import PostgresDatabase
from adapters.postgres.starts import PostgresStarts
from domain.distributions import Catalogue
from image_builder.http.auth import authenticator
from image_builder.http.blueprints import BlueprintsController
from image_builder.http.call import Lane, Route
from image_builder.http.composes import ComposesController
from image_builder.http.contract import Contract
from image_builder.http.distributions import DistributionsController
from image_builder.http.meta import Build, MetaController
from image_builder.settings import BackEndSettings, Settings, UnleashSettings
from image_builder.telemetry.metrics import Metrics
from image_builder.usecases.blueprints import KeepBlueprints
from image_builder.usecases.build_blueprint import BuildBlueprint
from image_builder.usecases.compose import StartComposes
from image_builder.usecases.composes import WatchComposes
from image_builder.usecases.export import ExportBlueprint
from image_builder.usecases.gather import Gather
from image_builder.usecases.policies import PolicyRequirements
from image_builder.usecases.prepare import Prepare
from image_builder.usecases.readiness import Probe
from ports.features import Features
from ports.recommendations import Recommendations
from ports.world import Quotas

if TYPE_CHECKING:
    from adapters.features.unleash import UnleashFeatures


def _catalogue(settings: Settings) -> Catalogue:
    return Catalogue(load_distributions(settings.distributions), load_allow_list(settings.allow_file))


def _quotas(settings: Settings) -> Quotas:
    return Unlimited() if settings.quota_file is None else FileQuotas(settings.quota_file)


def _composer_back_end(settings: BackEndSettings, connections: int) -> BackEnd:
    # COMPOSER_CA_PATH is for the composer alone.
    return _authorized("composer", settings, connections, new_session(1))


def _authorized(name: str, settings: BackEndSettings, connections: int, for_tokens: Session) -> BackEnd:
    tokens = None
    if settings.token_url:
        credentials = Credentials(settings.token_url, settings.client_id, settings.client_secret)
        tokens = Tokens(credentials, for_tokens)
    return BackEnd(
        name, settings.url, connections=connections, tokens=tokens, ca_file=settings.ca_path, proxy=settings.proxy
    )


@dataclass(frozen=True, slots=True)
class BackEnds:
    """Those that the service can do without, None where they are not set up."""

    content_sources: BackEnd | None
    provisioning: BackEnd | None
    compliance: BackEnd | None
    recommendations: BackEnd | None

    def close(self) -> None:
        """Drop their connections."""
        for back_end in (self.content_sources, self.provisioning, self.compliance, self.recommendations):
            if back_end is not None:
                back_end.close()


def _optional_back_ends(settings: Settings) -> BackEnds:
    def made(name: str, url: str) -> BackEnd | None:
        return BackEnd(name, url, connections=settings.waiting_threads) if url else None

    return BackEnds(
        content_sources=made("content sources", settings.content_sources_url),
        provisioning=made("provisioning", settings.provisioning_url),
        compliance=made("compliance", settings.compliance_url),
        recommendations=_recommendations_back_end(settings.recommendations, settings.waiting_threads),
    )


def _recommendations_back_end(settings: BackEndSettings | None, connections: int) -> BackEnd | None:
    if settings is None:
        return None
    for_tokens = new_session(1, settings.ca_path, settings.proxy)
    return _authorized("recommendations", settings, connections, for_tokens)


def _recommendations(back_ends: BackEnds) -> Recommendations | None:
    return None if back_ends.recommendations is None else HttpRecommendations(back_ends.recommendations)


def _features(settings: UnleashSettings | None) -> AlwaysOn | UnleashFeatures:
    if settings is None:
        return AlwaysOn()
    # Here, because it takes a quarter of a second that a start without Unleash need not take.
    from adapters.features.unleash import UnleashFeatures  # noqa: PLC0415

    return UnleashFeatures(settings.url, settings.token)


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
    recommendations = providers.ThreadSafeSingleton(_recommendations, back_ends)
    features = providers.ThreadSafeSingleton(_features, settings.provided.unleash)
    catalogue = providers.ThreadSafeSingleton(_catalogue, settings)
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
