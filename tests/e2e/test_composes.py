"""Builds as a client sees them, against the running service."""

from __future__ import annotations

import time

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.service import Service


def test_a_build_goes_from_pending_to_success(service: Service, composer: StandInComposer) -> None:
    client = service.client("watching")
    compose_id = client.compose(compose_request(image_name="mine"))
    seen = set()
    deadline = time.monotonic() + 10
    while "success" not in seen and time.monotonic() < deadline:
        seen.add(client.get(f"/composes/{compose_id}").json()["image_status"]["status"])
        time.sleep(0.05)
    assert {"pending", "building", "success"} <= seen
