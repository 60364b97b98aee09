"""The back-ends that the settings name, each with its adapter; None where the service has to do without."""

from __future__ import annotations

from dataclasses import dataclass

from requests import Session

from adapters.http.client import BackEnd, new_session
from adapters.http.compliance import HttpCompliance
from adapters.http.composer import HttpComposer
from adapters.http.content_sources import HttpContentSources
from adapters.http.provisioning import HttpProvisioning
from adapters.http.recommendations import HttpRecommendations
from adapters.http.tokens import Credentials, Tokens
from image_builder.settings import BackEndSettings, Settings
from ports.compliance import Compliance
from ports.composer import Composer
from ports.content_sources import ContentSources
from ports.meter import Meter
from ports.provisioning import Provisioning
from ports.recommendations import Recommendations


@dataclass(frozen=True, slots=True)
class BackEnds:
    """All that is asked over HTTP; only the composer has to be there. `used` are what they hold connections with.

    `composer_lookups` is the same composer, for what no build waits for: where that fails, builds still go on.
    """

    composer: Composer
    composer_lookups: Composer
    content_sources: ContentSources | None
    provisioning: Provisioning | None
    compliance: Compliance | None
    recommendations: Recommendations | None
    used: tuple[BackEnd, ...]

    def close(self) -> None:
        """Drop their connections."""
        for back_end in self.used:
            back_end.close()


def back_ends(settings: Settings, meter: Meter) -> BackEnds:
    """The back-ends of these settings; nobody is asked yet."""
    connections = settings.waiting_threads
    # COMPOSER_CA_PATH is for the composer alone.
    tokens = _tokens(settings.composer, new_session(1))
    composer = _authorized("composer", settings.composer, connections, tokens, meter)
    lookups = _authorized("composer's look-ups", settings.composer, connections, tokens, meter)
    content_sources = _plain("content sources", settings.known_content, connections, meter)
    provisioning = _plain("provisioning", settings.provisioning_url, connections, meter)
    compliance = _plain("compliance", settings.compliance_url, connections, meter)
    recommendations = _recommendations(settings.recommendations, connections, meter)
    optional = (content_sources, provisioning, compliance, recommendations)
    return BackEnds(
        composer=HttpComposer(composer, settings.composer_reuse),
        composer_lookups=HttpComposer(lookups),
        content_sources=None if content_sources is None else HttpContentSources(content_sources),
        provisioning=None if provisioning is None else HttpProvisioning(provisioning),
        compliance=None if compliance is None else HttpCompliance(compliance),
        recommendations=None if recommendations is None else HttpRecommendations(recommendations),
        used=(composer, lookups, *(back_end for back_end in optional if back_end is not None)),
    )


def _plain(name: str, url: str, connections: int, meter: Meter) -> BackEnd | None:
    return BackEnd(name, url, connections=connections, meter=meter) if url else None


def _recommendations(settings: BackEndSettings | None, connections: int, meter: Meter) -> BackEnd | None:
    if settings is None:
        return None
    tokens = _tokens(settings, new_session(1, settings.ca_path, settings.proxy))
    return _authorized("recommendations", settings, connections, tokens, meter)


def _tokens(settings: BackEndSettings, session: Session) -> Tokens | None:
    if not settings.token_url:
        return None
    return Tokens(Credentials(settings.token_url, settings.client_id, settings.client_secret), session)


def _authorized(name: str, settings: BackEndSettings, connections: int, tokens: Tokens | None, meter: Meter) -> BackEnd:
    return BackEnd(
        name,
        settings.url,
        connections=connections,
        tokens=tokens,
        ca_file=settings.ca_path,
        proxy=settings.proxy,
        meter=meter,
    )
