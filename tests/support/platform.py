"""The service with stand-ins of the platform's back-ends."""

from __future__ import annotations

from typing import Final

from adapters.embedded.platform.process import StandInPlatform
from tests.support.databases import Parameters
from tests.support.service import Service
from tests.support.waiting import STRETCH

# Seconds, in which a busy machine starts a build too.
COMPOSE_DEADLINE: Final = 2 + STRETCH


def service_with(database: Parameters, composer_url: str, platform: StandInPlatform, **environment: str) -> Service:
    """The service with all optional back-ends; `environment` adds variables."""
    settings = {
        "CONTENT_SOURCES_URL": platform.content_sources_url,
        "CONTENT_SOURCES_REPO_URL": "https://content.example.com/",
        "CONTENT_SOURCES_REPO_PREFIX": "/api/pulp",
        "PROVISIONING_URL": platform.provisioning_url,
        "COMPLIANCE_URL": platform.compliance_url,
        "RECOMMENDATIONS_URL": platform.recommendations_url,
        "RECOMMENDATIONS_TOKEN_URL": platform.token_url,
        "RECOMMENDATIONS_CLIENT_ID": "image-builder",
        "RECOMMENDATIONS_CLIENT_SECRET": "client-secret-of-the-tests",
        "INSIGHTS_CLIENT_PROXY": "http://proxy.example.com",
        "PATCH_URL": "https://patch.example.com",
        "COMPOSE_DEADLINE": f"{COMPOSE_DEADLINE:.1f}",
        **environment,
    }
    return Service(database, composer_url, environment=settings)
