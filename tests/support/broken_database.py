"""A database that somebody has changed behind the service's back, for an error that nobody foresaw."""

from __future__ import annotations

import requests

from tests.support.builders import compose_request
from tests.support.databases import Parameters, session
from tests.support.service import Service


def rename_a_column(parameters: Parameters) -> None:
    """Break every start of a build in the migrated database."""
    with session(parameters) as connection:
        connection.execute("ALTER TABLE compose_starts RENAME COLUMN org_id TO tenant")


def fail(service: Service, confidential: str = "not for reports") -> requests.Response:
    """The answer, of status 500, to a build with this password that the broken database does not take."""
    request = compose_request(customizations={"users": [{"name": "u", "password": confidential}]})
    refused = service.client("reporting").post("/compose", request)
    assert refused.status_code == 500, refused.text
    return refused
