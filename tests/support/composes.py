"""Composes as a client sees them."""

from __future__ import annotations

import time
from typing import Any, Final

from tests.support.service import Client
from tests.support.waiting import until

# How long a build takes at the stand-in composer of the tests.
BUILD_SECONDS: Final = 1.0


def listed(client: Client, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/composes{query}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def status_of(client: Client, compose_id: object) -> dict[str, Any]:
    answer = client.get(f"/composes/{compose_id}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def wait_for_end(client: Client, compose_id: object) -> dict[str, Any]:
    """Wait until a build that the stand-in composer was just given has ended, and return its image status.

    It sleeps for the time of the build, because a request before its end would make the service answer the same status
    from the database for five seconds.
    """
    time.sleep(BUILD_SECONDS)
    found: dict[str, Any] = {}

    def has_ended() -> bool:
        found.update(status_of(client, compose_id)["image_status"])
        return found["status"] in ("success", "failure")

    until(has_ended, "the build ends")
    return found
