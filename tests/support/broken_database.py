"""A database that was changed behind the service's back, which causes an unexpected error."""

from __future__ import annotations

import requests

from tests.support.builders import compose_request
from tests.support.databases import Parameters, session
from tests.support.service import Service


def rename_a_column(parameters: Parameters) -> None:
    """Rename a column of the migrated database, so that every start of a build fails."""
    with session(parameters) as connection:
        connection.execute("ALTER TABLE compose_starts RENAME COLUMN org_id TO tenant")


def fail(service: Service, confidential: str = "not for reports") -> requests.Response:
    """Request a build with this password, and return the answer, which must have status 500."""
    request = compose_request(customizations={"users": [{"name": "u", "password": confidential}]})
    refused = service.client("reporting").post("/compose", request)
    assert refused.status_code == 500, refused.text
    return refused
