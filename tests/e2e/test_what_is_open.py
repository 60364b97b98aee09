"""Answers without an identity reveal nothing about organizations (SECURITY.md, Who is trusted)."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.support.builders import compose_request
from tests.support.service import Client, Service

BASES = ["/api/image-builder/v1", "/api/image-builder/v1.0", "/api/v1/image-builder"]


@pytest.fixture
def nobody(service: Service) -> Client:
    return Client(service.url, {})


def test_metrics_name_no_organization_user_or_build(client: Client, tenant: str, nobody: Client) -> None:
    compose = client.compose(compose_request(image_name="pet-project"))
    client.get(f"/composes/{compose}")
    client.get(f"/composes/{uuid4()}")
    client.get(f"/{tenant}")
    told = nobody.get("/metrics", base="").text
    assert "image_builder_crc_request_count" in told
    assert [each for each in (tenant, compose, "pet-project", "u@example.com") if each in told] == []


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("path", ["/metrics", "/status"])
def test_metrics_are_not_reachable_below_the_base_paths(nobody: Client, base: str, path: str) -> None:
    assert nobody.get(path, base=base).status_code in {401, 404}


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("path", ["/composes", "/blueprints", "/quota", "/distributions", "/version", "/ready"])
def test_operations_below_the_base_paths_require_an_identity(nobody: Client, base: str, path: str) -> None:
    assert nobody.get(path, base=base).status_code == 401
