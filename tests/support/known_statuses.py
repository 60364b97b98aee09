"""Statuses that the service stores."""

from __future__ import annotations

from typing import Any

from tests.support.composes import listed
from tests.support.databases import Parameters, session
from tests.support.service import Client

BUILDING = {"status": "building", "progress": {"done": 1, "total": 4}}


def listed_status(client: Client, compose_id: object) -> Any:
    """The status of a build in the list of its organization, None if it is unknown."""
    (found,) = [each for each in listed(client)["data"] if each["id"] == str(compose_id)]
    return found.get("image_status")


def make_due(database: Parameters, compose_id: object, seen_ago: int = 0) -> None:
    """Let the next look at the build be due, and the last one be so many seconds older."""
    with session(database) as connection:
        connection.execute(
            "UPDATE compose_statuses SET looked_at = looked_at - %s * interval '1 second', "
            "next_look_at = CASE WHEN is_final THEN NULL ELSE now() AT TIME ZONE 'utc' END WHERE job_id = %s",
            (seen_ago, compose_id),
        )
