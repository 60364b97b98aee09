"""The back-ends that the settings name, each with its adapter; None for optional ones that are not set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from requests import Session

from adapters.http.client import BackEnd, new_session
from adapters.http.compliance import HttpCompliance
from adapters.http.composer import HttpComposer
from adapters.http.content_sources import HttpContentSources
from adapters.http.provisioning import HttpProvisioning
from adapters.http.recommendations import HttpRecommendations
from adapters.http.tokens import Credentials, Tokens
from image_builder.configuration.sections import ComposerSettings, RecommendationsSettings
from image_builder.configuration.settings import Settings
from ports.compliance import Compliance
from ports.composer import Composer
from ports.content_sources import ContentSources
from ports.meter import Meter
from ports.provisioning import Provisioning
from ports.recommendations import Recommendations
from ports.resolver import PackageResolver


@dataclass(frozen=True, slots=True)
class BackEnds:
    """The back-ends that are asked over HTTP. `used` are the HTTP clients of all of them.

    `composer_lookups` is the same composer with a circuit breaker of its own, for look-ups that no build waits for:
    when they fail, builds still go on. `composer_watch` is that of the status watcher, which costs requests nothing.
    `resolver` resolves packages at the composer, for checks; it has a circuit breaker of its own, too.
    """

    composer: Composer
    composer_lookups: Composer
    composer_watch: Composer
    resolver: PackageResolver
    content_sources: ContentSources | None
    provisioning: Provisioning | None
    compliance: Compliance | None
    recommendations: Recommendations | None
    used: tuple[BackEnd, ...]

    def close(self) -> None:
        """Close all connections."""
        for back_end in self.used:
            back_end.close()


def connect_back_ends(settings: Settings, meter: Meter) -> BackEnds:
    """The back-ends of these settings; no connection is made yet."""
    connections = settings.serving.waiting_threads
    # COMPOSER_CA_PATH applies to the composer alone, not to its token endpoint.
    tokens = _tokens(settings.composer, new_session(1))
    composer = _composer_client("composer", settings.composer, connections, tokens, meter)
    lookups = _composer_client("composer's look-ups", settings.composer, connections, tokens, meter)
    watch = _composer_client("composer's statuses", settings.composer, settings.statuses.looks_at_once, tokens, meter)
    resolver = _composer_client("composer's package resolution", settings.composer, connections, tokens, meter)
    # Further attempts would be calls beyond the watcher's budget, and the next look repeats the call anyway.
    watch.attempts = 1
    content_sources = _client("content sources", settings.content_sources.url, connections, meter)
    provisioning = _client("provisioning", settings.customers.provisioning_url, connections, meter)
    compliance = _client("compliance", settings.customers.compliance_url, connections, meter)
    recommendations = _recommendations_client(settings.recommendations, connections, meter)
    optional = (content_sources, provisioning, compliance, recommendations)
    return BackEnds(
        composer=HttpComposer(composer, settings.composer.reuse_seconds),
        composer_lookups=HttpComposer(lookups),
        composer_watch=HttpComposer(watch),
        resolver=HttpComposer(resolver, resolution_seconds=settings.builds.resolution_timeout),
        content_sources=None if content_sources is None else HttpContentSources(content_sources),
        provisioning=None if provisioning is None else HttpProvisioning(provisioning),
        compliance=None if compliance is None else HttpCompliance(compliance),
        recommendations=None if recommendations is None else HttpRecommendations(recommendations),
        used=(composer, lookups, watch, resolver, *(back_end for back_end in optional if back_end is not None)),
    )


def _client(name: str, url: str, connections: int, meter: Meter) -> BackEnd | None:
    return BackEnd(name, url, connections=connections, meter=meter) if url else None


def _composer_client(
    name: str, settings: ComposerSettings, connections: int, tokens: Tokens | None, meter: Meter
) -> BackEnd:
    ca_file = _path(settings.ca_file)
    return BackEnd(name, settings.url, connections=connections, tokens=tokens, ca_file=ca_file, meter=meter)


def _recommendations_client(settings: RecommendationsSettings, connections: int, meter: Meter) -> BackEnd | None:
    if not settings.url:
        return None
    ca_file = _path(settings.ca_file)
    return BackEnd(
        "recommendations",
        settings.url,
        connections=connections,
        tokens=_tokens(settings, new_session(1, ca_file, settings.proxy)),
        ca_file=ca_file,
        proxy=settings.proxy,
        meter=meter,
    )


def _tokens(settings: ComposerSettings | RecommendationsSettings, session: Session) -> Tokens | None:
    if not settings.token_url:
        return None
    return Tokens(Credentials(settings.token_url, settings.client_id, settings.client_secret), session)


def _path(file: Path | None) -> str:
    return "" if file is None else str(file)
