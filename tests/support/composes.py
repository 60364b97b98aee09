"""Composes as a client sees them."""

from __future__ import annotations

import time
from typing import Any, Final

from tests.support.service import Client
from tests.support.waiting import PATIENCE

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

    The service answers a status for five seconds from the database: the first request follows the end of the build.
    """
    time.sleep(BUILD_SECONDS)
    deadline = time.monotonic() + PATIENCE
    while True:
        status: dict[str, Any] = status_of(client, compose_id)["image_status"]
        if status["status"] in ("success", "failure"):
            return status
        assert time.monotonic() < deadline, f"the build does not end: {status}"
        time.sleep(0.2)
