"""Feature flags in the running service."""

from __future__ import annotations

import time

import pytest

from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.drip import DRIPS
from tests.support.loopback import Step, hang, refused_url
from tests.support.refusals import refusal
from tests.support.service import Client, Service
from tests.support.unleash import TOKEN, Unleash
from tests.support.waiting import PATIENCE, until

FLAG_OFF = "Feature image-builder.compliance-policies.enabled not enabled"
WITH_POLICY = compose_request(
    distribution="rhel-9.6", customizations={"openscap": {"policy_id": "7709b691-15a9-4dae-ae96-d6584b9f389f"}}
)


def following(database: Parameters, url: str, workers: int = 1) -> Service:
    environment = {"UNLEASH_URL": url, "UNLEASH_TOKEN": TOKEN}
    return Service(database, refused_url(), environment=environment, workers=workers)


def gets_past_the_flag(client: Client) -> bool:
    """Whether the service looks for a policy, which is refused for another reason here."""
    answer = client.post("/compose", WITH_POLICY)
    if answer.status_code == 400:
        assert refusal(answer, 400) == FLAG_OFF
        return False
    assert refusal(answer, 503) == "This needs compliance, which is not set up here"
    assert "Retry-After" not in answer.headers
    return True


@pytest.mark.parametrize("on", [True, False])
def test_policies_are_enabled_as_unleash_says(module_database: Parameters, on: bool) -> None:
    with Unleash(compliance=on) as unleash, following(module_database, unleash.api_url) as service:
        assert gets_past_the_flag(service.client()) is on


def test_each_worker_calls_unleash_itself(module_database: Parameters) -> None:
    with Unleash(compliance=False) as unleash, following(module_database, unleash.api_url, workers=2) as service:
        for _ in range(20):
            assert not gets_past_the_flag(service.client())  # each time by a new connection
        until(lambda: len(askers(unleash)) == 2, "a question to Unleash from each worker")


def askers(unleash: Unleash) -> set[str]:
    return {asked.headers["unleash-instanceid"] for asked in unleash.asked}


@pytest.mark.parametrize("step", [hang, DRIPS["a body"]], ids=["hang", "drip"])
def test_a_hanging_unleash_delays_neither_start_nor_shutdown(module_database: Parameters, step: Step) -> None:
    with Unleash(instead=step) as unleash:
        service = following(module_database, unleash.api_url)
        began = time.monotonic()
        service.start()
        started = time.monotonic() - began
        try:
            assert service.client().get("/version").status_code == 200
            until(lambda: unleash.asked, "a question to Unleash, which a thread of its own asks")
            assert gets_past_the_flag(service.client())
        finally:
            began = time.monotonic()
            assert service.stop() == 0
        assert time.monotonic() - began < PATIENCE
        assert started < PATIENCE


def test_policies_are_enabled_if_unleash_is_unavailable(module_database: Parameters) -> None:
    with following(module_database, refused_url()) as service:
        assert gets_past_the_flag(service.client())
